#include "raft/log/segment_writer.h"

#include <algorithm>
#include <filesystem>

#include "base/check.h"
#include "base/log.h"
#include "base/mutation.h"
#include "base/status.h"

namespace keel::raft {
namespace {

using base::FileSystem;

// A segment made in a hurry, on the write path: small enough to be filled at once.
constexpr uint64_t kSmallSegmentBytes = 4 << 20;
constexpr uint64_t kEndRecordBytes = RecordBytes(8);

// A process that was killed while it made the folders left their names to the
// system's cache; they exist by now, and nobody else syncs them.
absl::Status SyncAncestors(FileSystem& fs, const std::string& dir) {
  std::filesystem::path path = std::filesystem::path(dir).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // the empty name behind a last slash
  while (path.has_relative_path()) {
    path = path.parent_path();
    const absl::Status synced = fs.SyncDir(path.empty() ? "." : path.string());
    // Folders that this user may not even read were there before.
    if (!synced.ok() && !absl::IsPermissionDenied(synced)) return synced;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SegmentWriter::Create(FileSystem& fs, const std::string& dir,
                                   const LogIdentity& identity, RecordType type,
                                   std::string_view body, uint64_t segment_bytes) {
  const std::string path = SegmentPath(dir, 1);
  KEEL_RETURN_IF_ERROR(SegmentPool::Fill(fs, path, std::min(segment_bytes, kSmallSegmentBytes)));
  KEEL_ASSIGN_OR_RETURN(auto file, fs.Open(path, FileSystem::Mode::kReadWrite));
  BatchBuilder batch(SegmentTag(identity.salt, 1), 0, 1);
  batch.AddRaw(EncodeSegmentHeader(identity, 1));
  batch.Add(type, body);
  batch.Finish();
  KEEL_RETURN_IF_ERROR(file->WriteV(0, batch.Parts()));
  KEEL_RETURN_IF_ERROR(file->Sync());
  KEEL_RETURN_IF_ERROR(fs.SyncDir(dir));
  KEEL_RETURN_IF_ERROR(SyncAncestors(fs, dir));
  // Last: from now on a missing segment is damage.
  return WriteFileAtomic(fs, IdentityPath(dir), EncodeIdentity(identity));
}

SegmentWriter::SegmentWriter(SegmentWriterOptions options, std::shared_ptr<SegmentPool> pool)
    : options_(std::move(options)), pool_(std::move(pool)) {}

absl::Status SegmentWriter::Start(const LogTail& tail) {
  identity_ = tail.identity;
  sequence_ = tail.last_sequence;
  capacity_bytes_ = tail.capacity_bytes;
  batch_ = tail.batch;
  KEEL_ASSIGN_OR_RETURN(
      file_, options_.fs->Open(SegmentPath(options_.dir, sequence_), FileSystem::Mode::kReadWrite));
  KEEL_RETURN_IF_ERROR(Settle(tail.append_offset, tail.complete));
  content_start_ = 0;  // Not known, and only a bound: whatever is there counts as content.
  if (tail.complete) {
    KEEL_RETURN_IF_ERROR(NextSegment());
    KEEL_RETURN_IF_ERROR(Commit());
  } else {
    // A seal completes the batch whose end was cut off, under its number.
    if (tail.unsealed) --batch_;
    builder_.emplace(SegmentTag(identity_.salt, sequence_), tail.append_offset, batch_ + 1);
    if (tail.unsealed) {
      builder_->Add(RecordType::kSeal, {});
      KEEL_RETURN_IF_ERROR(Commit());
    }
  }
  PrepareNext();
  return absl::OkStatus();
}

// What was read back counts as durable from now on, and need not be: a process that was killed
// between write and sync leaves its last batch, and its last new names, to the system's cache;
// and after a failed sync the cache may show what no later sync of that file will write ("Can
// Applications Recover from fsync Failures?", ATC 2020). So the last segment's content moves to a
// file of its own.
absl::Status SegmentWriter::Settle(uint64_t content_bytes, bool complete) {
  FileSystem& fs = *options_.fs;
  const std::string path = SegmentPath(options_.dir, sequence_);
  const std::string copy = SegmentPool::FillPath(options_.dir);
  const uint64_t capacity =
      complete ? content_bytes : std::min(capacity_bytes_, content_bytes + kSmallSegmentBytes);
  const auto move = [&]() -> absl::Status {
    KEEL_RETURN_IF_ERROR(SegmentPool::FillBehind(fs, *file_, content_bytes, copy, capacity));
    return fs.Rename(copy, path);
  };
  if (const absl::Status moved = move(); moved.ok()) {
    KEEL_ASSIGN_OR_RETURN(file_, fs.Open(path, FileSystem::Mode::kReadWrite));
    capacity_bytes_ = capacity;
  } else if (absl::IsResourceExhausted(moved)) {
    // Better a member that can start on a full disk.
    base::Log().warn("raft log: no room to copy the last segment error=\"{}\"", moved.ToString());
    (void)fs.Remove(copy);
    KEEL_RETURN_IF_ERROR(file_->Sync());
  } else {
    return moved;
  }
  return fs.SyncDir(options_.dir);
}

absl::Status SegmentWriter::MakeRoom(uint64_t record_bytes) {
  if (builder_->end() + record_bytes + kEndRecordBytes <= capacity_bytes_ ||
      builder_->end() <= content_start_) {  // It fits nowhere better: the file grows.
    return absl::OkStatus();
  }
  builder_->Add(RecordType::kSegmentEnd, EncodeU64(sequence_ + 1));
  KEEL_RETURN_IF_ERROR(Commit());
  return NextSegment();
}

absl::Status SegmentWriter::Commit() {
  builder_->Finish();
  KEEL_RETURN_IF_ERROR(file_->WriteV(builder_->start(), builder_->Parts()));
  const base::TimePoint start = options_.write_loop->Now();
  if (!KEEL_MUTATION(kNoFsync)) KEEL_RETURN_IF_ERROR(file_->Sync());
  if (options_.on_sync) options_.on_sync(options_.write_loop->Now() - start);
  batch_ = builder_->number();
  builder_->Restart(SegmentTag(identity_.salt, sequence_), builder_->end(), batch_ + 1);
  return absl::OkStatus();
}

absl::Status SegmentWriter::NextSegment() {
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
    pool_->Hurry();
    capacity_bytes = std::min(options_.segment_bytes, kSmallSegmentBytes);
    KEEL_RETURN_IF_ERROR(SegmentPool::Fill(fs, path, capacity_bytes));
    KEEL_RETURN_IF_ERROR(fs.SyncDir(options_.dir));
  }
  KEEL_ASSIGN_OR_RETURN(file_, fs.Open(path, FileSystem::Mode::kReadWrite));
  ++sequence_;
  capacity_bytes_ = capacity_bytes;
  builder_.emplace(SegmentTag(identity_.salt, sequence_), 0, batch_ + 1);
  builder_->AddRaw(EncodeSegmentHeader(identity_, sequence_));
  options_.begin_segment(&*builder_);
  content_start_ = builder_->end();
  return absl::OkStatus();
}

void SegmentWriter::PrepareNext() {
  // Weak: the pool may hold this for as long as the disk is full.
  pool_->Prepare([weak = weak_from_this()](std::string path, uint64_t bytes) {
    if (const auto self = weak.lock()) self->OnPrepared(std::move(path), bytes);
  });
}

void SegmentWriter::OnPrepared(std::string path, uint64_t bytes) {
  if (stopped_.load()) return;
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
