// A first-in-first-out queue in one piece of memory, which it keeps: in a
// steady state it allocates nothing, and an empty one holds nothing.
//
//   Queue<Write> writes;
//   writes.push_back(…);
//   for (Write& write : writes) …          // oldest first
//   writes.pop_front();
#pragma once

#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace keel::raft {

template <typename T>
class Queue {
 public:
  bool empty() const { return head_ == items_.size(); }
  T& front() { return items_[head_]; }
  const T& front() const { return items_[head_]; }

  void push_back(T item) {
    // Full: make room at the front, if that is worth the moves.
    if (items_.size() == items_.capacity() && head_ > items_.size() / 2) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    items_.push_back(std::move(item));
  }

  // REQUIRES: !empty().
  void pop_front() {
    if (++head_ == items_.size()) {
      items_.clear();
      head_ = 0;
    }
  }

  auto begin() { return items_.begin() + static_cast<std::ptrdiff_t>(head_); }
  auto end() { return items_.end(); }
  auto begin() const { return items_.begin() + static_cast<std::ptrdiff_t>(head_); }
  auto end() const { return items_.end(); }

 private:
  std::vector<T> items_;
  size_t head_ = 0;  // those before it are popped
};

}  // namespace keel::raft
