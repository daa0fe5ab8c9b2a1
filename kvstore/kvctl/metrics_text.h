// Prometheus' text form, read: samples, and quantiles of its histograms.
//
//   const Metrics before = ParseMetrics(text1), after = ParseMetrics(text2);
//   SumOf(after, "etcd_mvcc_put_total");
//   Quantile(0.99, HistogramOf(after, "etcd_disk_wal_fsync_duration_seconds", &before));
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "base/tls/options.h"

namespace keel::kvctl {

// By name and labels as they were written: `a_total{code="OK"}`.
using Metrics = std::map<std::string, double, std::less<>>;

// Comments and lines that are no samples are left out.
Metrics ParseMetrics(std::string_view text);

// Of all series of that name, whatever their labels; nullopt when there is none.
std::optional<double> SumOf(const Metrics& metrics, std::string_view name);

// How many observations were at most the bound; the last bound is +Inf.
using Histogram = std::map<double, double>;

// All series of the histogram together. With `before` what came since; all of it when the process
// was started anew in between (a count went down).
Histogram HistogramOf(const Metrics& metrics, std::string_view name,
                      const Metrics* before = nullptr);

// As Prometheus' histogram_quantile: evenly spread within a bucket; of the last bucket its lower
// bound. nullopt when nothing was observed. REQUIRES: 0 <= q <= 1.
std::optional<double> Quantile(double q, const Histogram& histogram);

// The text that GET /metrics has at "host:port", "http://host:port" or "https://host:port". Blocks.
// Unavailable with the reason when there is none within the limit.
absl::StatusOr<std::string> FetchMetrics(const std::string& endpoint,
                                         const std::optional<base::TlsOptions>& tls,
                                         base::Duration limit);

}  // namespace keel::kvctl
