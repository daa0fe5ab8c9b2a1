#include "raft/core/inflights.h"

#include <algorithm>

#include "base/check.h"

namespace keel::raft {

void Inflights::Add(Index last, uint64_t bytes) {
  KEEL_CHECK(!Full(), "messages=", count_, " bytes=", bytes_);
  if (count_ == ring_.size()) Grow();
  if (count_ > 0) {
    const Item& newest = ring_[(start_ + count_ - 1) % ring_.size()];
    KEEL_CHECK(last >= newest.last, "last=", last, " newest=", newest.last);
  }
  ring_[(start_ + count_) % ring_.size()] = Item{last, bytes};
  ++count_;
  bytes_ += bytes;
}

void Inflights::FreeTo(Index index) {
  while (count_ > 0 && ring_[start_].last <= index) {
    bytes_ -= ring_[start_].bytes;
    start_ = (start_ + 1) % ring_.size();
    --count_;
  }
}

void Inflights::Clear() {
  start_ = 0;
  count_ = 0;
  bytes_ = 0;
}

void Inflights::Grow() {
  std::vector<Item> larger(std::min<size_t>(max_messages_, std::max<size_t>(8, ring_.size() * 2)));
  for (size_t i = 0; i < count_; ++i) larger[i] = ring_[(start_ + i) % ring_.size()];
  ring_ = std::move(larger);
  start_ = 0;
}

}  // namespace keel::raft
