// Amounts of resources: cpu in thousandths, all else in its unit (bytes, pieces).
//
//   Resources free = node.allocatable;
//   free.Subtract(node.requested);
//
// Values; any thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/container/inlined_vector.h"

namespace keel::orchestrator::sched {

// Positions of the resources that every node has; extended ones follow as they are met.
inline constexpr size_t kCpu = 0;
inline constexpr size_t kMemory = 1;
inline constexpr size_t kEphemeralStorage = 2;
inline constexpr size_t kFirstExtended = 3;

class Resources {
 public:
  int64_t Get(size_t resource) const { return resource < amounts_.size() ? amounts_[resource] : 0; }
  void Set(size_t resource, int64_t amount) { At(resource) = amount; }
  void Add(size_t resource, int64_t amount) { At(resource) += amount; }
  void Add(const Resources& other) {
    for (size_t i = 0; i < other.size(); ++i) {
      if (other.amounts_[i] != 0) At(i) += other.amounts_[i];
    }
  }
  void Subtract(const Resources& other) {
    for (size_t i = 0; i < other.size(); ++i) {
      if (other.amounts_[i] != 0) At(i) -= other.amounts_[i];
    }
  }
  // Of each resource the larger amount.
  void Max(const Resources& other) {
    for (size_t i = 0; i < other.size(); ++i) At(i) = std::max(At(i), other.amounts_[i]);
  }
  size_t size() const { return amounts_.size(); }  // beyond it all are 0

  friend bool operator==(const Resources& a, const Resources& b) {
    for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
      if (a.Get(i) != b.Get(i)) return false;
    }
    return true;
  }

 private:
  int64_t& At(size_t resource) {
    if (resource >= amounts_.size()) amounts_.resize(resource + 1);
    return amounts_[resource];
  }

  absl::InlinedVector<int64_t, 4> amounts_;
};

}  // namespace keel::orchestrator::sched
