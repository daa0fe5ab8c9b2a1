#include "watch/recent_revisions.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace keel::watch {

void RecentRevisions::Reset(int64_t revision) {
  std::deque<std::shared_ptr<const EventBatch>> dropped;  // freed outside the lock
  std::lock_guard lock(mu_);
  dropped.swap(batches_);
  bytes_ = 0;
  floor_ = newest_ = revision;
}

void RecentRevisions::Append(std::shared_ptr<const EventBatch> batch) {
  std::vector<std::shared_ptr<const EventBatch>> dropped;  // freed outside the lock
  std::lock_guard lock(mu_);
  KEEL_CHECK(batch->first_revision() > newest_, "first=", batch->first_revision(),
             " newest=", newest_);
  newest_ = batch->last_revision();
  bytes_ += batch->bytes();
  batches_.push_back(std::move(batch));
  while (bytes_ > bytes_max_ && batches_.size() > 1) {
    floor_ = batches_.front()->last_revision();
    bytes_ -= batches_.front()->bytes();
    dropped.push_back(std::move(batches_.front()));
    batches_.pop_front();
  }
}

int64_t RecentRevisions::newest() const {
  std::lock_guard lock(mu_);
  return newest_;
}

bool RecentRevisions::Covers(int64_t revision) const {
  std::lock_guard lock(mu_);
  return revision > floor_;
}

bool RecentRevisions::Read(int64_t from, int64_t through, size_t events_max,
                           RevisionSpan* span) const {
  span->revisions.clear();
  span->batches.clear();
  span->from = from;
  {
    std::lock_guard lock(mu_);
    if (from <= floor_) return false;
    span->through = std::min(through, newest_);
    auto batch = std::partition_point(batches_.begin(), batches_.end(),
                                      [&](const auto& b) { return b->last_revision() < from; });
    size_t events = 0;
    for (; batch != batches_.end() && (*batch)->first_revision() <= span->through; ++batch) {
      span->batches.push_back(*batch);
      // The first may lie mostly before `from`: it does not count.
      if (span->batches.size() > 1) events += (*batch)->event_count();
      if (events >= events_max) break;
    }
  }

  size_t events = 0;
  for (const auto& batch : span->batches) {
    const kvstore::FeedBatch& revisions = batch->revisions();
    auto first = std::partition_point(revisions.begin(), revisions.end(),
                                      [&](const auto& r) { return r.revision < from; });
    for (auto it = first; it != revisions.end(); ++it) {
      if (it->revision > span->through) return true;
      if (events >= events_max) {
        span->through = span->revisions.back().revision();
        return true;
      }
      span->revisions.push_back({batch.get(), static_cast<uint32_t>(it - revisions.begin())});
      events += it->events.size();
    }
  }
  // Batches may have been left out above.
  if (events >= events_max) span->through = span->revisions.back().revision();
  return true;
}

}  // namespace keel::watch
