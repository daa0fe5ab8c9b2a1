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

LogWriter::LogWriter(LogWriterOptions options, std::shared_ptr<SegmentPool> pool)
    : options_(std::move(options)),
      segments_(std::make_shared<SegmentWriter>(
          SegmentWriterOptions{.fs = options_.fs,
                               .dir = options_.dir,
                               .segment_bytes = options_.segment_bytes,
                               .write_loop = options_.write_loop,
                               .begin_segment =
                                   [this](BatchBuilder* batch) {
                                     LogCheckpoint checkpoint = state_;
                                     if (KEEL_MUTATION(kCheckpointWithoutVote))
                                       checkpoint.hard_state = {};
                                     batch->Add(RecordType::kCheckpoint,
                                                EncodeCheckpoint(checkpoint));
                                   },
                               .on_sync = options_.on_sync},
          std::move(pool))) {}

absl::Status LogWriter::Start(const RecoveredLog& log) {
  state_ = {log.base, log.base.index + log.locations.size(), log.hard_state, log.initial_conf};
  return segments_->Start(log);
}

void LogWriter::Write(LogWrite write) {
  options_.write_loop->Post([self = shared_from_this(), write = std::move(write)]() mutable {
    self->queue_.push_back(std::move(write));
    if (self->flush_scheduled_) return;
    // Behind whatever else is queued on the loop by now: that joins the batch.
    self->flush_scheduled_ = true;
    self->options_.write_loop->Post([self] { self->Flush(); });
  });
}

void LogWriter::Flush() {
  flush_scheduled_ = false;
  if (failed_ || stopped_.load()) return;
  const std::vector<LogWrite> writes = std::move(queue_);
  queue_.clear();
  LogWritten written;
  written.writes = writes.size();
  absl::Status status = WriteAll(writes, &written);
  if (!status.ok()) {
    failed_ = true;
    segments_->Stop();
    options_.loop->Post([self = shared_from_this(), status = std::move(status)] {
      if (!self->stopped_.load()) self->options_.on_error(status);
    });
    return;
  }
  written.sequence = segments_->sequence();
  if (stopped_.load()) return;
  options_.loop->Post([self = shared_from_this(), written = std::move(written)]() mutable {
    if (!self->stopped_.load()) self->options_.on_written(std::move(written));
  });
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
      KEEL_RETURN_IF_ERROR(segments_->MakeRoom(RecordBytes(body_bytes)));
      const uint64_t offset = segments_->batch().AddEntry(entry);
      written->locations.push_back({entry.term, static_cast<uint32_t>(segments_->sequence()),
                                    static_cast<uint32_t>(offset / kRecordAlignBytes),
                                    static_cast<uint32_t>(body_bytes)});
      state_.last = entry.index;
    }
    if (write.hard_state && *write.hard_state != state_.hard_state) {
      state_.hard_state = *write.hard_state;
      KEEL_RETURN_IF_ERROR(Add(RecordType::kHardState, EncodeHardState(state_.hard_state)));
    }
  }
  if (segments_->batch().empty()) return absl::OkStatus();
  return segments_->Commit();
}

absl::Status LogWriter::Add(RecordType type, std::string_view body) {
  KEEL_RETURN_IF_ERROR(segments_->MakeRoom(RecordBytes(body.size())));
  segments_->batch().Add(type, body);
  return absl::OkStatus();
}

}  // namespace keel::raft
