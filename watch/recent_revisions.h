// The newest revisions, kept in memory up to a bound: where loops fetch what
// was published since they last looked, and slow watchers catch up without
// touching the disk.
//
//   RecentRevisions recent(/*bytes_max=*/16 << 20);
//   recent.Reset(current_revision);
//   recent.Append(batch);                                  // the apply loop
//   RevisionSpan span = recent.Read(next, newest, 4096);   // any loop
//
// Invariant: every revision in (floor, newest] that exists is held.
// Thread-safety: every method may be called from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "watch/event_batch.h"

namespace keel::watch {

// Consecutive revisions, wherever they came from: (from - 1, through], in order.
struct RevisionSpan {
  struct Ref {
    const EventBatch* batch;
    uint32_t index;  // of the revision in batch->revisions()
    int64_t revision() const { return batch->revisions()[index].revision; }
  };

  int64_t from = 0;
  int64_t through = 0;
  std::vector<Ref> revisions;
  std::vector<std::shared_ptr<const EventBatch>> batches;  // what the refs point into
};

class RecentRevisions {
 public:
  explicit RecentRevisions(size_t bytes_max) : bytes_max_(bytes_max) {}

  // Forgets everything; `revision` is the newest from now on.
  void Reset(int64_t revision);
  // Drops the oldest batches beyond the bound, but never this one.
  // REQUIRES: batch->first_revision() > newest().
  void Append(std::shared_ptr<const EventBatch> batch);

  int64_t newest() const;
  bool Covers(int64_t revision) const;

  // Fills *span with the revisions from `from` to the lesser of `through` and
  // newest(), or up to the end of the revision with which `events_max` events
  // are reached. False when `from` is no longer covered.
  bool Read(int64_t from, int64_t through, size_t events_max, RevisionSpan* span) const;

 private:
  const size_t bytes_max_;
  mutable std::mutex mu_;
  // All below guarded by mu_.
  std::deque<std::shared_ptr<const EventBatch>> batches_;
  size_t bytes_ = 0;
  int64_t floor_ = 0;
  int64_t newest_ = 0;
};

}  // namespace keel::watch
