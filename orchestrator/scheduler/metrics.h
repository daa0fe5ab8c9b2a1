// kube-scheduler's metrics, as far as they mean the same here, in Prometheus' text.
//
//   metrics.Attempt(Result::kScheduled, seconds);
//   body = metrics.Text({.active = 3, ...});
//
// One thread only.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace keel::orchestrator::sched {

// Counts by upper bound: `first`, doubled 14 times.
class Histogram {
 public:
  explicit Histogram(double first) : first_(first) {}
  void Observe(double value);
  // Its lines; `labels` without braces, may be empty.
  void Write(std::string& out, std::string_view name, std::string_view labels) const;

 private:
  static constexpr size_t kBounds = 15;
  const double first_;
  std::array<uint64_t, kBounds + 1> counts_{};  // the last: beyond all bounds
  double sum_ = 0;
};

enum class Result : uint8_t { kScheduled, kUnschedulable, kError };

class Metrics {
 public:
  void Attempt(Result result, double seconds);
  // A pod was bound, after so many attempts and so long after it was first seen.
  void Bound(int attempts, double seconds, double bind_seconds);
  void BindFailed() { ++by_result_[static_cast<size_t>(Result::kError)]; }
  void Preempted(size_t victims);

  struct Sizes {
    size_t active = 0, backoff = 0, unschedulable = 0, gated = 0;
    size_t nodes = 0, pods = 0, assumed = 0;
    bool leading = true;
  };
  std::string Text(const Sizes& sizes) const;

  uint64_t bound() const { return bound_; }

 private:
  std::array<uint64_t, 3> by_result_{};
  std::array<Histogram, 3> attempt_{Histogram(0.00001), Histogram(0.00001), Histogram(0.00001)};
  Histogram sli_{0.01};
  Histogram binding_{0.001};
  Histogram attempts_{1};
  Histogram victims_{1};
  uint64_t preemptions_ = 0;
  uint64_t bound_ = 0;
};

}  // namespace keel::orchestrator::sched
