// The recent changes of one resource, for watches that start in the past.
//
// Bounded in number and bytes; oldest() is the first revision from which nothing is missing.
// Thread-safety: none.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "orchestrator/apiserver/cached_object.h"

namespace keel::orchestrator {

enum class ChangeType : uint8_t { kAdded, kModified, kDeleted };

struct ObjectChange {
  ChangeType type = ChangeType::kAdded;
  // Deleted: the last state, with the revision of the deletion.
  CachedObjectPtr object;
  std::shared_ptr<const ObjectFacts> before;  // null when added
  int64_t revision() const { return object->revision; }
};

class EventRing {
 public:
  EventRing(size_t max_events, size_t max_bytes) : max_events_(max_events), max_bytes_(max_bytes) {}

  void Add(ObjectChange change) {
    bytes_ += change.object->MemoryBytes();
    changes_.push_back(std::move(change));
    while (changes_.size() > max_events_ || (bytes_ > max_bytes_ && changes_.size() > 1)) {
      bytes_ -= changes_.front().object->MemoryBytes();
      dropped_ = changes_.front().revision();
      changes_.pop_front();
      ++first_;
    }
  }
  void Clear() {
    first_ += changes_.size();
    changes_.clear();
    bytes_ = 0;
  }
  // Nothing before `revision` (and at it) is known.
  void StartAt(int64_t revision) { dropped_ = revision; }

  // Changes after `revision` are all here if it is at least this.
  int64_t oldest() const { return dropped_; }
  // The index of the first change after `revision`; indexes stay valid until dropped.
  uint64_t IndexAfter(int64_t revision) const {
    size_t low = 0, high = changes_.size();
    while (low < high) {
      const size_t middle = (low + high) / 2;
      if (changes_[middle].revision() <= revision) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return first_ + low;
  }
  uint64_t first_index() const { return first_; }
  uint64_t end_index() const { return first_ + changes_.size(); }
  // REQUIRES: first_index() <= index < end_index().
  const ObjectChange& At(uint64_t index) const { return changes_[index - first_]; }
  size_t bytes() const { return bytes_; }

 private:
  const size_t max_events_, max_bytes_;
  std::deque<ObjectChange> changes_;
  size_t bytes_ = 0;
  uint64_t first_ = 0;
  int64_t dropped_ = 0;
};

}  // namespace keel::orchestrator
