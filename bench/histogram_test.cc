#include "bench/histogram.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace keel::bench {
namespace {

TEST(Histogram, IsZeroWhenEmpty) {
  Histogram h;
  EXPECT_EQ(h.count(), 0u);
  EXPECT_EQ(h.min(), 0);
  EXPECT_EQ(h.max(), 0);
  EXPECT_EQ(h.Percentile(50), 0);
  EXPECT_EQ(h.Mean(), 0);
}

TEST(Histogram, IsExactForSmallValues) {
  Histogram h;
  for (int value = 1; value <= 100; ++value) h.Record(value);
  EXPECT_EQ(h.Percentile(0), 1);
  EXPECT_EQ(h.Percentile(50), 50);
  EXPECT_EQ(h.Percentile(99), 99);
  EXPECT_EQ(h.Percentile(100), 100);
  EXPECT_DOUBLE_EQ(h.Mean(), 50.5);
}

TEST(Histogram, CountsNegativeValuesAsZeroAndTakesTheLargest) {
  Histogram h;
  h.Record(-5);
  h.Record(INT64_MAX);
  EXPECT_EQ(h.min(), 0);
  EXPECT_EQ(h.Percentile(50), 0);
  EXPECT_EQ(h.Percentile(100), INT64_MAX);
}

RC_GTEST_PROP(Histogram, PercentileIsWithinOneSixtyFourthOfTheExactOne, ()) {
  auto values = *rc::gen::nonEmpty(rc::gen::container<std::vector<int64_t>>(
      rc::gen::apply([](int64_t v, int shift) { return std::abs(v) >> shift; },
                     rc::gen::inRange<int64_t>(0, INT64_MAX), rc::gen::inRange(0, 62))));
  const double percent = *rc::gen::inRange(0, 1001) / 10.0;
  Histogram one, other, all;
  for (size_t i = 0; i < values.size(); ++i) (i % 2 ? one : other).Record(values[i]);
  all.Add(one);
  all.Add(other);
  std::sort(values.begin(), values.end());
  const size_t rank = std::max<size_t>(
      1, static_cast<size_t>(std::ceil(percent / 100 * static_cast<double>(values.size()))));
  const int64_t exact = values[rank - 1];
  const int64_t got = all.Percentile(percent);
  RC_ASSERT(got >= exact);
  RC_ASSERT(static_cast<double>(got - exact) <= static_cast<double>(exact) / 64);
  RC_ASSERT(all.count() == values.size());
  RC_ASSERT(all.max() == values.back());
  RC_ASSERT(all.min() == values.front());
}

}  // namespace
}  // namespace keel::bench
