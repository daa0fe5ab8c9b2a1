// A vector that also loses elements at its front. Unlike std::deque an empty
// one allocates nothing: there are many thousands, most of them short.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace keel::raft {

template <typename T>
class SlidingVector {
 public:
  bool empty() const { return begin_ == items_.size(); }
  size_t size() const { return items_.size() - begin_; }
  T& operator[](size_t i) { return items_[begin_ + i]; }
  const T& operator[](size_t i) const { return items_[begin_ + i]; }
  T& front() { return items_[begin_]; }
  const T& front() const { return items_[begin_]; }
  T& back() { return items_.back(); }
  const T& back() const { return items_.back(); }

  void push_back(const T& item) { items_.push_back(item); }
  void push_back(T&& item) { items_.push_back(std::move(item)); }
  // REQUIRES: not empty.
  void pop_back() {
    items_.pop_back();
    if (empty()) clear();
  }
  // Drops all from the `count`th on. REQUIRES: count <= size().
  void Truncate(size_t count) { items_.resize(begin_ + count); }
  // Drops the first `count`. REQUIRES: count <= size().
  void DropFront(size_t count) {
    if (count == 0) return;
    for (size_t i = 0; i < count; ++i) items_[begin_ + i] = T();
    begin_ += count;
    if (begin_ * 2 < items_.size()) return;
    // Amortised: as many were dropped as are moved now.
    items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
    if (items_.size() * 4 < items_.capacity()) items_.shrink_to_fit();
  }
  void clear() {
    std::vector<T>().swap(items_);
    begin_ = 0;
  }

 private:
  std::vector<T> items_;
  size_t begin_ = 0;
};

}  // namespace keel::raft
