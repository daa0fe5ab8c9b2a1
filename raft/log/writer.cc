#include "raft/log/writer.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/mutation.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::raft {
namespace {

using base::FileSystem;

// A segment made in a hurry, on the write path: small enough to be filled at once.
constexpr uint64_t kSmallSegmentBytes = 4 << 20;
constexpr uint64_t kEndRecordBytes = RecordBytes(8);

}  // namespace

absl::Status LogWriter::Create(FileSystem& fs, const std::string& dir, const LogIdentity& identity,
                               const ConfState& conf, uint64_t segment_bytes) {
  const std::string path = SegmentPath(dir, 1);
  KEEL_RETURN_IF_ERROR(SegmentPool::Fill(fs, path, std::min(segment_bytes, kSmallSegmentBytes)));
  KEEL_ASSIGN_OR_RETURN(auto file, fs.Open(path, FileSystem::Mode::kReadWrite));
  BatchBuilder batch(SegmentTag(identity.salt, 1), 0, 1);
  batch.AddRaw(EncodeSegmentHeader(identity, 1));
  batch.Add(RecordType::kCheckpoint, EncodeCheckpoint({{}, 0, {}, conf}));
  batch.Finish();
  KEEL_RETURN_IF_ERROR(file->WriteV(0, batch.Parts()));
  KEEL_RETURN_IF_ERROR(file->Sync());
  KEEL_RETURN_IF_ERROR(fs.SyncDir(dir));
  // Last: from now on a missing segment is damage.
  return WriteFileAtomic(fs, IdentityPath(dir), EncodeIdentity(identity));
}

LogWriter::LogWriter(LogWriterOptions options, std::shared_ptr<SegmentPool> pool)
    : options_(std::move(options)), pool_(std::move(pool)) {}

absl::Status LogWriter::Start(const RecoveredLog& log) {
  identity_ = log.identity;
  state_ = {log.base, log.base.index + log.locations.size(), log.hard_state, log.initial_conf};
  sequence_ = log.segments.back().sequence;
  capacity_bytes_ = log.capacity_bytes;
  batch_ = log.batch;
  KEEL_ASSIGN_OR_RETURN(
      file_, options_.fs->Open(SegmentPath(options_.dir, sequence_), FileSystem::Mode::kReadWrite));
  content_start_ = 0;  // Not known, and only a bound: whatever is there counts as content.
  if (log.complete) {
    KEEL_RETURN_IF_ERROR(NextSegment());
    KEEL_RETURN_IF_ERROR(CommitBatch());
  } else {
    // A seal completes the batch whose end was cut off, under its number.
    if (log.unsealed) --batch_;
    builder_.emplace(SegmentTag(identity_.salt, sequence_), log.append_offset, batch_ + 1);
    if (log.unsealed) {
      builder_->Add(RecordType::kSeal, {});
      KEEL_RETURN_IF_ERROR(CommitBatch());
    }
  }
  PrepareNext();
  return absl::OkStatus();
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
    options_.loop->Post([self = shared_from_this(), status = std::move(status)] {
      if (!self->stopped_.load()) self->options_.on_error(status);
    });
    return;
  }
  written.sequence = sequence_;
  if (stopped_.load()) return;
  options_.loop->Post([self = shared_from_this(), written = std::move(written)]() mutable {
    if (!self->stopped_.load()) self->options_.on_written(std::move(written));
  });
}

absl::Status LogWriter::WriteAll(const std::vector<LogWrite>& writes, LogWritten* written) {
  for (const LogWrite& write : writes) {
    // Ahead of the entries: entries of a term are never there without the term.
    if (write.hard_state && *write.hard_state != state_.hard_state) {
      state_.hard_state = *write.hard_state;
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
      KEEL_RETURN_IF_ERROR(MakeRoom(RecordBytes(body_bytes)));
      const uint64_t offset = builder_->AddEntry(entry);
      written->locations.push_back({entry.term, static_cast<uint32_t>(sequence_),
                                    static_cast<uint32_t>(offset / kRecordAlignBytes),
                                    static_cast<uint32_t>(body_bytes)});
      state_.last = entry.index;
    }
  }
  if (builder_->empty()) return absl::OkStatus();
  return CommitBatch();
}

absl::Status LogWriter::Add(RecordType type, std::string_view body) {
  KEEL_RETURN_IF_ERROR(MakeRoom(RecordBytes(body.size())));
  builder_->Add(type, body);
  return absl::OkStatus();
}

absl::Status LogWriter::MakeRoom(uint64_t record_bytes) {
  if (builder_->end() + record_bytes + kEndRecordBytes <= capacity_bytes_ ||
      builder_->end() <= content_start_) {  // It fits nowhere better: the file grows.
    return absl::OkStatus();
  }
  const uint64_t next = sequence_ + 1;
  builder_->Add(RecordType::kSegmentEnd, {reinterpret_cast<const char*>(&next), sizeof(next)});
  KEEL_RETURN_IF_ERROR(CommitBatch());
  return NextSegment();
}

absl::Status LogWriter::CommitBatch() {
  builder_->Finish();
  KEEL_RETURN_IF_ERROR(file_->WriteV(builder_->start(), builder_->Parts()));
  const base::TimePoint start = options_.write_loop->Now();
  if (!KEEL_MUTATION(kNoFsync)) KEEL_RETURN_IF_ERROR(file_->Sync());
  if (options_.on_sync) options_.on_sync(options_.write_loop->Now() - start);
  batch_ = builder_->number();
  builder_.emplace(SegmentTag(identity_.salt, sequence_), builder_->end(), batch_ + 1);
  return absl::OkStatus();
}

absl::Status LogWriter::NextSegment() {
  FileSystem& fs = *options_.fs;
  const std::string path = SegmentPath(options_.dir, sequence_ + 1);
  uint64_t capacity_bytes;
  if (next_) {
    if (!next_->name_durable) KEEL_RETURN_IF_ERROR(fs.SyncDir(options_.dir));
    capacity_bytes = next_->bytes;
    next_.reset();
    PrepareNext();
  } else {
    // None is ready in time; one is on its way, or will be (PrepareNext).
    capacity_bytes = std::min(options_.segment_bytes, kSmallSegmentBytes);
    KEEL_RETURN_IF_ERROR(SegmentPool::Fill(fs, path, capacity_bytes));
    KEEL_RETURN_IF_ERROR(fs.SyncDir(options_.dir));
  }
  KEEL_ASSIGN_OR_RETURN(file_, fs.Open(path, FileSystem::Mode::kReadWrite));
  ++sequence_;
  capacity_bytes_ = capacity_bytes;
  builder_.emplace(SegmentTag(identity_.salt, sequence_), 0, batch_ + 1);
  builder_->AddRaw(EncodeSegmentHeader(identity_, sequence_));
  LogCheckpoint checkpoint = state_;
  if (KEEL_MUTATION(kCheckpointWithoutVote)) checkpoint.hard_state = {};
  builder_->Add(RecordType::kCheckpoint, EncodeCheckpoint(checkpoint));
  content_start_ = builder_->end();
  return absl::OkStatus();
}

void LogWriter::PrepareNext() {
  // Weak: the pool may hold this for as long as the disk is full.
  pool_->Prepare([weak = weak_from_this()](std::string path, uint64_t bytes) {
    if (const auto self = weak.lock()) self->OnPrepared(std::move(path), bytes);
  });
}

void LogWriter::OnPrepared(std::string path, uint64_t bytes) {
  if (failed_ || stopped_.load()) return;
  KEEL_CHECK(!next_);
  if (const absl::Status renamed =
          options_.fs->Rename(path, SegmentPath(options_.dir, sequence_ + 1));
      !renamed.ok()) {
    base::Log().warn("raft log: cannot use the segment made ready error=\"{}\"",
                     renamed.ToString());
    return;  // Rotation makes small ones instead.
  }
  next_ = Next{bytes, false};
  // If the folder cannot be synced now, rotation tries again and reports it.
  pool_->SyncNames([self = shared_from_this(), sequence = sequence_](absl::Status synced) {
    if (self->next_ && self->sequence_ == sequence) self->next_->name_durable = synced.ok();
  });
}

}  // namespace keel::raft
