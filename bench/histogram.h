// Counts of values in buckets of bounded relative width, in the manner of
// HdrHistogram (http://hdrhistogram.org): 64 buckets for each power of two, so
// that a percentile is never off by more than 1/64 of itself (1.6 %), from 1
// to 2^63 and in constant memory (30 KiB).
//
//   Histogram latency_ns;
//   latency_ns.Record(elapsed_ns);
//   total.Add(latency_ns);                      // of another thread
//   int64_t p99_ns = total.Percentile(99);
//
// Thread-safety: none; keep one for each thread and Add them up.
#pragma once

#include <cstdint>
#include <vector>

namespace keel::bench {

class Histogram {
 public:
  Histogram();

  // Negative values count as 0.
  void Record(int64_t value) { RecordMany(value, 1); }
  void RecordMany(int64_t value, uint64_t times);
  void Add(const Histogram& other);

  uint64_t count() const { return count_; }
  int64_t min() const { return count_ == 0 ? 0 : min_; }
  int64_t max() const { return max_; }
  double Mean() const;
  // The value that `percent` (0..100) of the values do not exceed, rounded up
  // to the end of its bucket but never past max(); 0 when empty.
  int64_t Percentile(double percent) const;

 private:
  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  int64_t min_ = INT64_MAX;
  int64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace keel::bench
