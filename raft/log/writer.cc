#include "raft/log/writer.h"

#include "base/mutation.h"
#include "base/status.h"

namespace keel::raft {

absl::Status LogWriter::Create(base::FileSystem& fs, const std::string& dir,
                               const LogIdentity& identity, const ConfState& conf,
                               uint64_t segment_bytes) {
  return SegmentWriter::Create(fs, dir, identity, RecordType::kCheckpoint,
                               EncodeCheckpoint({{}, 0, {}, conf}), segment_bytes);
}

LogWriter::LogWriter(const LogPlaceOptions& options, OnWritten on_written,
                     std::shared_ptr<SegmentPool> pool)
    : BatchWriter(
          options, std::move(on_written),
          [this](BatchBuilder* batch) {
            LogCheckpoint checkpoint = state_;
            if (KEEL_MUTATION(kCheckpointWithoutVote)) checkpoint.hard_state = {};
            batch->Add(RecordType::kCheckpoint, EncodeCheckpoint(checkpoint));
          },
          std::move(pool)) {}

absl::Status LogWriter::Start(const RecoveredLog& log) {
  state_ = {log.base, log.base.index + log.locations.size(), log.hard_state, log.initial_conf};
  return segments().Start(log);
}

absl::Status LogWriter::WriteAll(const std::vector<LogWrite>& writes, LogWritten* written) {
  for (const LogWrite& write : writes) {
    // Ahead of the entries: entries of a term are never there without the term.
    if (write.hard_state && *write.hard_state != state_.hard_state) {
      state_.hard_state = StateInFront(*write.hard_state, write.reset.has_value(), write.entries);
      KEEL_RETURN_IF_ERROR(Add(RecordType::kHardState, EncodeHardState(state_.hard_state)));
    }
    if (write.reset) {
      KEEL_RETURN_IF_ERROR(Add(RecordType::kReset, EncodePoint(*write.reset)));
      state_.base = *write.reset;
      state_.last = write.reset->index;
    }
    if (write.truncate) {
      KEEL_RETURN_IF_ERROR(Add(RecordType::kTruncate, EncodePoint(*write.truncate)));
      state_.base = *write.truncate;
    }
    for (const Entry& entry : write.entries) {
      const uint64_t body_bytes = kEntryFixedBytes + entry.data->size();
      KEEL_RETURN_IF_ERROR(segments().MakeRoom(RecordBytes(body_bytes)));
      const uint64_t offset = segments().batch().AddEntry(entry);
      written->locations.push_back({entry.term, static_cast<uint32_t>(segments().sequence()),
                                    static_cast<uint32_t>(offset / kRecordAlignBytes),
                                    static_cast<uint32_t>(body_bytes)});
      state_.last = entry.index;
      if (const auto behind = StateBehind(write.hard_state, entry)) {
        state_.hard_state = *behind;
        KEEL_RETURN_IF_ERROR(Add(RecordType::kHardState, EncodeHardState(*behind)));
      }
    }
    if (write.hard_state && *write.hard_state != state_.hard_state) {
      state_.hard_state = *write.hard_state;
      KEEL_RETURN_IF_ERROR(Add(RecordType::kHardState, EncodeHardState(state_.hard_state)));
    }
  }
  if (segments().batch().empty()) return absl::OkStatus();
  return segments().Commit();
}

absl::Status LogWriter::Add(RecordType type, std::string_view body) {
  KEEL_RETURN_IF_ERROR(segments().MakeRoom(RecordBytes(body.size())));
  segments().batch().Add(type, body);
  return absl::OkStatus();
}

}  // namespace keel::raft
