// Figures of the server in Prometheus' text format, under etcd's names where
// etcd has the same figure.
//
// Thread-safety: Histogram::Observe and the exposition may be called from any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/loop.h"

namespace keel::kvstore {

// Durations in buckets of powers of two from `first` on: by default from 1 ms to
// 8.192 s, as etcd has them for its disks.
class Histogram {
 public:
  explicit Histogram(base::Duration first = std::chrono::milliseconds(1)) : first_(first) {}

  void Observe(base::Duration duration);
  // The family, or (AppendSamples) one of several of it that differ in `labels`.
  void Append(std::string_view name, std::string_view help, std::string* out) const;
  void AppendSamples(std::string_view name, std::string_view labels, std::string* out) const;

 private:
  static constexpr size_t kBuckets = 14;
  const base::Duration first_;
  std::array<std::atomic<uint64_t>, kBuckets + 1> counts_{};  // the last: beyond all bounds
  std::atomic<uint64_t> sum_ns_{0};
};

void AppendGauge(std::string_view name, std::string_view help, double value, std::string* out);
void AppendCounter(std::string_view name, std::string_view help, double value, std::string* out);
// "# HELP" and "# TYPE" lines, for families with labels.
void AppendFamily(std::string_view name, std::string_view help, std::string_view type,
                  std::string* out);
void AppendSample(std::string_view name, std::string_view labels, double value, std::string* out);

// process_*: memory, CPU, file descriptors, start time.
void AppendProcessMetrics(std::string* out);

}  // namespace keel::kvstore
