// The window of kAppend messages on their way to one peer, limited in messages
// and in bytes (thesis, section 10.2.1: pipelining).
//
//   Inflights window(256, 64 << 20);
//   if (!window.Full()) window.Add(last_index_of_message, bytes);
//   window.FreeTo(acknowledged_index);
//
// Invariant: indexes ascend from the oldest message to the newest.
#pragma once

#include <cstddef>
#include <vector>

#include "raft/core/types.h"

namespace keel::raft {

class Inflights {
 public:
  Inflights(uint64_t max_messages, uint64_t max_bytes)
      : max_messages_(max_messages), max_bytes_(max_bytes) {}

  // One message may overshoot the limit in bytes: a window of any size lets an
  // entry of any size through.
  bool Full() const { return count_ >= max_messages_ || bytes_ >= max_bytes_; }
  size_t count() const { return count_; }
  uint64_t bytes() const { return bytes_; }

  // A message whose last entry is `last` was sent. REQUIRES: !Full(), `last`
  // not below the one added before.
  void Add(Index last, uint64_t bytes);

  // Every message that ends at or below `index` has arrived.
  void FreeTo(Index index);

  void Clear();

 private:
  struct Item {
    Index last = 0;
    uint64_t bytes = 0;
  };

  void Grow();

  const uint64_t max_messages_;
  const uint64_t max_bytes_;
  // A ring that grows to what is used: most windows stay far below the limit.
  std::vector<Item> ring_;
  size_t start_ = 0;
  size_t count_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace keel::raft
