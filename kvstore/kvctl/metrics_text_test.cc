#include "kvstore/kvctl/metrics_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace keel::kvctl {
namespace {

constexpr std::string_view kText = R"(# HELP a_total Something.
# TYPE a_total counter
a_total 12
a_total_more 1000
rpc_total{code="OK",method="Put it"} 3 1700000000
rpc_total{code="Unavailable",method="Put"} 4
size_bytes 1.5e+06
wait_seconds_bucket{le="0.001"} 10
wait_seconds_bucket{le="0.002"} 90
wait_seconds_bucket{le="0.004"} 100
wait_seconds_bucket{le="+Inf"} 100
wait_seconds_sum 0.2
wait_seconds_count 100
not a sample
)";

TEST(MetricsTextTest, ReadsSamplesWithTheirLabels) {
  const Metrics metrics = ParseMetrics(kText);
  EXPECT_EQ(SumOf(metrics, "a_total"), 12);
  EXPECT_EQ(SumOf(metrics, "rpc_total"), 7);
  EXPECT_EQ(SumOf(metrics, "size_bytes"), 1.5e6);
  EXPECT_EQ(SumOf(metrics, "a"), std::nullopt);
  EXPECT_TRUE(ParseMetrics("").empty());
  EXPECT_TRUE(ParseMetrics("<html>no such page</html>").empty());
}

TEST(MetricsTextTest, QuantilesAreThoseOfPrometheus) {
  const Histogram histogram = HistogramOf(ParseMetrics(kText), "wait_seconds");
  ASSERT_EQ(histogram.size(), 4u);
  // histogram_quantile(0.5, ...): 40 of the 80 in the second bucket.
  EXPECT_NEAR(*Quantile(0.5, histogram), 0.0015, 1e-9);
  EXPECT_NEAR(*Quantile(0.05, histogram), 0.0005, 1e-9);
  EXPECT_NEAR(*Quantile(0.99, histogram), 0.0038, 1e-9);
  EXPECT_EQ(Quantile(0.5, {}), std::nullopt);
  EXPECT_EQ(Quantile(0.5, {{0.1, 0}, {std::numeric_limits<double>::infinity(), 0}}), std::nullopt);
  // Beyond all bounds only the last bound is known.
  EXPECT_EQ(Quantile(0.9, {{0.1, 1}, {std::numeric_limits<double>::infinity(), 10}}), 0.1);
}

TEST(MetricsTextTest, AHistogramSinceThenForgetsWhatWasBefore) {
  const Metrics before = ParseMetrics(
      "wait_seconds_bucket{le=\"0.001\"} 10\nwait_seconds_bucket{le=\"0.002\"} 80\n"
      "wait_seconds_bucket{le=\"0.004\"} 80\nwait_seconds_bucket{le=\"+Inf\"} 80\n");
  const Metrics now = ParseMetrics(kText);
  const Histogram since = HistogramOf(now, "wait_seconds", &before);
  EXPECT_EQ(since.at(0.001), 0);
  EXPECT_EQ(since.at(0.002), 10);
  EXPECT_EQ(since.rbegin()->second, 20);
  // A process started anew counts from nothing.
  EXPECT_EQ(HistogramOf(before, "wait_seconds", &now), HistogramOf(before, "wait_seconds"));
}

TEST(MetricsTextTest, SaysWhyThereAreNone) {
  const auto none = FetchMetrics("127.0.0.1:1", std::nullopt, std::chrono::seconds(1));
  EXPECT_EQ(none.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(FetchMetrics("nowhere", std::nullopt, std::chrono::seconds(1)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace keel::kvctl
