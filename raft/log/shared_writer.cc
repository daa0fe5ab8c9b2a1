#include "raft/log/shared_writer.h"

#include "base/status.h"

namespace keel::raft {

uint32_t GroupRecordBytes(const GroupState& state) {
  return static_cast<uint32_t>(RecordBytes(kGroupBytes + EncodeGroupState(state).size()));
}

SharedWriter::SharedWriter(const LogPlaceOptions& options, OnWritten on_written,
                           std::shared_ptr<SegmentPool> pool)
    : BatchWriter(
          options, std::move(on_written),
          [this](BatchBuilder* batch) { batch->Add(RecordType::kHorizon, EncodeU64(horizon_)); },
          std::move(pool)) {}

absl::Status SharedWriter::Start(const LogTail& tail, uint64_t horizon) {
  horizon_ = horizon;
  return segments().Start(tail);
}

absl::Status SharedWriter::WriteAll(const std::vector<SharedWrite>& writes,
                                    SharedWritten* written) {
  for (const SharedWrite& write : writes) KEEL_RETURN_IF_ERROR(Add(write, written));
  if (segments().batch().empty()) return absl::OkStatus();
  return segments().Commit();
}

absl::Status SharedWriter::Add(const SharedWrite& write, SharedWritten* written) {
  if (write.horizon != 0) {
    horizon_ = write.horizon;
    KEEL_RETURN_IF_ERROR(segments().MakeRoom(RecordBytes(8)));
    segments().batch().Add(RecordType::kHorizon, EncodeU64(write.horizon));
    return absl::OkStatus();
  }
  const GroupId group = write.group;
  if (write.state) {
    KEEL_RETURN_IF_ERROR(Add(group, RecordType::kGroup, EncodeGroupState(*write.state), written));
    written->state_sequences.push_back(segments().sequence());
  }
  // Ahead of the entries: entries of a term are never there without the term.
  std::optional<HardState> in_front;
  if (write.hard_state) {
    in_front = StateInFront(*write.hard_state, write.reset.has_value(), write.entries);
    KEEL_RETURN_IF_ERROR(Add(group, RecordType::kHardState, EncodeHardState(*in_front), written));
  }
  if (write.reset) {
    KEEL_RETURN_IF_ERROR(Add(group, RecordType::kReset, EncodePoint(*write.reset), written));
  }
  if (write.truncate) {
    KEEL_RETURN_IF_ERROR(Add(group, RecordType::kTruncate, EncodePoint(*write.truncate), written));
  }
  const RecordType type = write.moved ? RecordType::kMovedEntry : RecordType::kEntry;
  for (const Entry& entry : write.entries) {
    const uint64_t body_bytes = kGroupBytes + kEntryFixedBytes + entry.data->size();
    KEEL_RETURN_IF_ERROR(segments().MakeRoom(RecordBytes(body_bytes)));
    const uint64_t offset = segments().batch().AddEntry(group, type, entry);
    written->bytes += RecordBytes(body_bytes);
    written->locations.push_back({entry.term, static_cast<uint32_t>(segments().sequence()),
                                  static_cast<uint32_t>(offset / kRecordAlignBytes),
                                  static_cast<uint32_t>(body_bytes)});
    if (const auto behind = StateBehind(write.hard_state, entry)) {
      in_front = behind;
      KEEL_RETURN_IF_ERROR(Add(group, RecordType::kHardState, EncodeHardState(*behind), written));
    }
  }
  if (in_front != write.hard_state) {
    KEEL_RETURN_IF_ERROR(
        Add(group, RecordType::kHardState, EncodeHardState(*write.hard_state), written));
  }
  if (write.removed) KEEL_RETURN_IF_ERROR(Add(group, RecordType::kRemovedGroup, {}, written));
  return absl::OkStatus();
}

absl::Status SharedWriter::Add(GroupId group, RecordType type, std::string_view body,
                               SharedWritten* written) {
  const uint64_t bytes = RecordBytes(kGroupBytes + body.size());
  KEEL_RETURN_IF_ERROR(segments().MakeRoom(bytes));
  segments().batch().Add(group, type, body);
  written->bytes += bytes;
  return absl::OkStatus();
}

}  // namespace keel::raft
