#include "bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>

namespace keel::bench {
namespace {

// Values below 2^(kBits + 1) have a bucket each; above, the top kBits + 1 bits
// choose the bucket.
constexpr int kBits = 6;
constexpr size_t kBuckets = size_t{64 - kBits} << kBits;

size_t IndexOf(uint64_t value) {
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - (kBits + 1));
  return (static_cast<size_t>(shift) << kBits) + (value >> shift);
}

// The largest value that falls into the bucket.
uint64_t EndOf(size_t index) {
  const size_t shift = index < (size_t{2} << kBits) ? 0 : (index >> kBits) - 1;
  const uint64_t top = index - (shift << kBits);
  return ((top + 1) << shift) - 1;
}

}  // namespace

Histogram::Histogram() : buckets_(kBuckets) {}

void Histogram::RecordMany(int64_t value, uint64_t times) {
  if (times == 0) return;
  value = std::max<int64_t>(value, 0);
  buckets_[IndexOf(static_cast<uint64_t>(value))] += times;
  count_ += times;
  sum_ += static_cast<double>(value) * static_cast<double>(times);
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
}

void Histogram::Add(const Histogram& other) {
  for (size_t i = 0; i < kBuckets; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

double Histogram::Mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

int64_t Histogram::Percentile(double percent) const {
  if (count_ == 0) return 0;
  const double exact =
      std::ceil(std::clamp(percent, 0.0, 100.0) / 100 * static_cast<double>(count_));
  const uint64_t wanted = std::clamp<uint64_t>(static_cast<uint64_t>(exact), 1, count_);
  uint64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += buckets_[i];
    if (seen >= wanted) return std::min(static_cast<int64_t>(EndOf(i)), max_);
  }
  return max_;
}

}  // namespace keel::bench
