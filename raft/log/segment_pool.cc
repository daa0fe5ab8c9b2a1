#include "raft/log/segment_pool.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::raft {
namespace {

using base::FileSystem;
using base::StrCat;

constexpr uint64_t kStepBytes = 1 << 20;
constexpr uint64_t kSyncEveryBytes = 1 << 20;  // keeps the disk's queue short for the log itself
// Filling rests after each step, this many times as long as the step took: the disk and the
// processor are the log's first.
constexpr int kRestTimes = 2;
constexpr auto kRestMax = std::chrono::milliseconds(20);
constexpr size_t kSparesMax = 2;
constexpr auto kRetry = std::chrono::seconds(5);
constexpr std::string_view kSparePrefix = "spare-";
constexpr std::string_view kGonePrefix = "gone-";
constexpr std::string_view kFillName = "fill.tmp";
// A file goes by so much at a time: where a file system discards what it frees, an fdatasync waits
// for it, 10 to 40 ms for a whole segment.
constexpr uint64_t kShrinkBytes = 4 << 20;
constexpr auto kShrinkRest = std::chrono::milliseconds(15);

const std::string& Zeros() {
  static const std::string& zeros = *new std::string(kStepBytes, '\0');
  return zeros;
}

}  // namespace

SegmentPool::SegmentPool(FileSystem& fs, std::string dir, uint64_t segment_bytes, base::Loop* loop,
                         base::Loop* reply_loop)
    : fs_(fs),
      dir_(std::move(dir)),
      segment_bytes_(segment_bytes),
      loop_(loop),
      reply_loop_(reply_loop) {}

std::string SegmentPool::SparePath(const std::string& dir, uint64_t number) {
  return StrCat(dir, "/", kSparePrefix, number);
}

std::string SegmentPool::FillPath(const std::string& dir) { return StrCat(dir, "/", kFillName); }

bool SegmentPool::IsPoolFile(const std::string& name) {
  return name.starts_with(kSparePrefix) || name.starts_with(kGonePrefix) || name == kFillName;
}

namespace {

// A new file, and not one of an earlier life whose sync may have failed.
absl::StatusOr<std::unique_ptr<base::File>> CreateAnew(FileSystem& fs, const std::string& path) {
  if (fs.Exists(path)) KEEL_RETURN_IF_ERROR(fs.Remove(path));
  return fs.Open(path, FileSystem::Mode::kCreateEmpty);
}

absl::Status ZeroAndSync(base::File& file, uint64_t from, uint64_t to) {
  for (uint64_t at = from; at < to; at += kStepBytes) {
    KEEL_RETURN_IF_ERROR(
        file.Write(at, std::string_view(Zeros()).substr(0, std::min(kStepBytes, to - at))));
  }
  return file.Sync();
}

}  // namespace

absl::Status SegmentPool::Fill(FileSystem& fs, const std::string& path, uint64_t bytes) {
  KEEL_ASSIGN_OR_RETURN(const auto file, CreateAnew(fs, path));
  return ZeroAndSync(*file, 0, bytes);
}

absl::Status SegmentPool::FillBehind(FileSystem& fs, const base::File& from, uint64_t content_bytes,
                                     const std::string& path, uint64_t bytes) {
  KEEL_CHECK(content_bytes <= bytes, "content=", content_bytes, " of=", bytes);
  KEEL_ASSIGN_OR_RETURN(const auto file, CreateAnew(fs, path));
  const auto memory = std::make_unique_for_overwrite<char[]>(std::min(kStepBytes, content_bytes));
  for (uint64_t at = 0; at < content_bytes;) {
    const uint64_t step = std::min(kStepBytes, content_bytes - at);
    KEEL_ASSIGN_OR_RETURN(const size_t got, from.ReadInto(at, {memory.get(), step}));
    KEEL_CHECK(got == step, "read=", got, " of=", step, " at=", at);
    KEEL_RETURN_IF_ERROR(file->Write(at, {memory.get(), step}));
    at += step;
  }
  return ZeroAndSync(*file, content_bytes, bytes);
}

void SegmentPool::Prepare(Ready ready) {
  loop_->Post([self = shared_from_this(), ready = std::move(ready)]() mutable {
    self->waiting_.push_back(std::move(ready));
    if (self->waiting_.size() == 1) self->Start();
  });
}

void SegmentPool::Start() {
  if (stopped_.load()) return;
  if (!listed_) {  // Files of an earlier run.
    listed_ = true;
    auto names = fs_.List(dir_);
    for (size_t i = 0; names.ok() && i < names->size(); ++i) {
      if (!IsPoolFile((*names)[i])) continue;
      const std::string path = StrCat(dir_, "/", (*names)[i]);
      if (std::find(going_.begin(), going_.end(), path) != going_.end()) continue;
      auto file = fs_.Open(path, FileSystem::Mode::kRead);
      const bool whole = (*names)[i].starts_with(kSparePrefix) && file.ok() &&
                         (*file)->Size().value_or(0) == segment_bytes_ &&
                         spares_.size() < kSparesMax;
      if (whole) {
        spares_.push_back(path);
      } else {
        (void)fs_.Remove(path);  // Only space is lost when it stays.
      }
    }
  }
  if (!spares_.empty()) {
    std::string path = std::move(spares_.back());
    spares_.pop_back();
    Finished(std::move(path), segment_bytes_);
    return;
  }
  auto file = fs_.Open(StrCat(dir_, "/", kFillName), FileSystem::Mode::kCreateEmpty);
  if (!file.ok()) return Failed(file.status());
  filling_ = *std::move(file);
  filled_ = 0;
  Step();
}

void SegmentPool::Step() {
  if (stopped_.load()) return;
  const base::TimePoint begun = loop_->Now();
  const uint64_t bytes = std::min(kStepBytes, segment_bytes_ - filled_);
  absl::Status status = filling_->Write(filled_, std::string_view(Zeros()).substr(0, bytes));
  filled_ += bytes;
  if (status.ok() && (filled_ % kSyncEveryBytes == 0 || filled_ == segment_bytes_)) {
    status = filling_->Sync();
  }
  if (!status.ok()) return Failed(std::move(status));
  if (filled_ < segment_bytes_) {
    const base::Duration rest =
        hurry_.load() ? base::Duration::zero()
                      : std::min<base::Duration>(kRestTimes * (loop_->Now() - begun), kRestMax);
    base::Task next = [self = shared_from_this()] { self->Step(); };
    if (rest > base::Duration::zero()) {
      loop_->After(rest, std::move(next));
    } else {
      loop_->Post(std::move(next));
    }
    return;
  }
  const std::string from = filling_->path();
  filling_.reset();
  std::string path = FreePath(kSparePrefix);
  status = fs_.Rename(from, path);
  if (!status.ok()) return Failed(std::move(status));
  Finished(std::move(path), segment_bytes_);
}

void SegmentPool::Failed(absl::Status status) {
  base::Log().warn("raft log: cannot make the next segment ready, trying again error=\"{}\"",
                   status.ToString());
  if (filling_) {  // Gives the space back.
    const std::string path = filling_->path();
    filling_.reset();
    (void)fs_.Remove(path);
  }
  loop_->After(kRetry, [self = shared_from_this()] {
    if (!self->waiting_.empty()) self->Start();
  });
}

void SegmentPool::Finished(std::string path, uint64_t bytes) {
  Ready ready = std::move(waiting_.front());
  waiting_.erase(waiting_.begin());
  hurry_.store(false);
  reply_loop_->Post([self = shared_from_this(), ready = std::move(ready), path = std::move(path),
                     bytes]() mutable {
    if (!self->stopped_.load()) ready(std::move(path), bytes);
  });
  if (!waiting_.empty()) Start();
}

std::string SegmentPool::FreePath(std::string_view prefix) {
  std::string path;
  do {
    path = StrCat(dir_, "/", prefix, next_spare_++);
  } while (fs_.Exists(path));
  return path;
}

void SegmentPool::Recycle(std::vector<std::string> paths) {
  loop_->Post([self = shared_from_this(), paths = std::move(paths)] {
    std::deque<std::string> going;
    absl::Status status;
    for (const std::string& path : paths) {  // Oldest first: what is left has no gap.
      auto file = self->fs_.Open(path, FileSystem::Mode::kRead);
      const uint64_t bytes = file.ok() ? (*file)->Size().value_or(0) : 0;
      const bool keep =
          self->listed_ && bytes == self->segment_bytes_ && self->spares_.size() < kSparesMax;
      if (!keep && bytes <= kShrinkBytes) {
        status = self->fs_.Remove(path);
      } else {
        std::string free = self->FreePath(keep ? kSparePrefix : kGonePrefix);
        status = self->fs_.Rename(path, free);
        if (status.ok() && keep) self->spares_.push_back(std::move(free));
        if (status.ok() && !keep) going.push_back(std::move(free));
      }
      if (!status.ok()) {
        base::Log().warn("raft log: cannot free a segment error=\"{}\"", status.ToString());
        break;
      }
    }
    if (!going.empty()) self->LetGo(std::move(going));
  });
}

void SegmentPool::LetGo(std::deque<std::string> paths) {
  // A segment that has its old name again after a crash must be whole.
  if (const absl::Status status = fs_.SyncDir(dir_); !status.ok()) {
    base::Log().warn("raft log: cannot free segments error=\"{}\"", status.ToString());
    return;  // they are removed at the next start
  }
  const bool idle = going_.empty();
  std::move(paths.begin(), paths.end(), std::back_inserter(going_));
  if (idle) Shrink();
}

void SegmentPool::Shrink() {
  if (stopped_.load()) return;
  const std::string& path = going_.front();
  auto file = fs_.Open(path, FileSystem::Mode::kReadWrite);
  const uint64_t bytes = file.ok() ? (*file)->Size().value_or(0) : 0;
  if (bytes <= kShrinkBytes || !(*file)->Truncate(bytes - kShrinkBytes).ok()) {
    (void)fs_.Remove(path);  // Only space is lost when it stays.
    going_.pop_front();
  }
  if (going_.empty()) return;
  loop_->After(kShrinkRest, [self = shared_from_this()] { self->Shrink(); });
}

void SegmentPool::SyncNames(std::function<void(absl::Status)> done) {
  loop_->Post([self = shared_from_this(), done = std::move(done)] {
    absl::Status status = self->fs_.SyncDir(self->dir_);
    self->reply_loop_->Post([self, done, status = std::move(status)] {
      if (!self->stopped_.load()) done(status);
    });
  });
}

}  // namespace keel::raft
