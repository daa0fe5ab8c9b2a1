#include "kvstore/kvctl/metrics_text.h"

#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "base/strings.h"

namespace keel::kvctl {

namespace {

bool Read(std::string_view text, double* value) {
  return absl::SimpleAtod(base::ToAbsl(text), value);  // knows +Inf, too
}

bool IsSeriesOf(std::string_view series, std::string_view name) {
  return series.starts_with(name) && (series.size() == name.size() || series[name.size()] == '{');
}

// The series of a map that is sorted begin with their name, but others may stand in between.
template <typename Visit>
void VisitSeries(const Metrics& metrics, std::string_view name, Visit visit) {
  for (auto it = metrics.lower_bound(name);
       it != metrics.end() && std::string_view(it->first).starts_with(name); ++it) {
    if (IsSeriesOf(it->first, name)) visit(it->first, it->second);
  }
}

Histogram Buckets(const Metrics& metrics, std::string_view name) {
  Histogram histogram;
  VisitSeries(metrics, base::StrCat(name, "_bucket"), [&](std::string_view series, double count) {
    constexpr std::string_view kLabel = "le=\"";
    const size_t start = series.find(kLabel);
    if (start == std::string_view::npos) return;
    const std::string_view rest = series.substr(start + kLabel.size());
    double bound = 0;
    if (Read(rest.substr(0, rest.find('"')), &bound)) histogram[bound] += count;
  });
  return histogram;
}

}  // namespace

Metrics ParseMetrics(std::string_view text) {
  Metrics metrics;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line[0] == '#') continue;
    // A label's value may hold spaces; what follows the labels does not.
    const size_t labels_end = line.rfind('}');
    const size_t space = line.find(' ', labels_end == std::string_view::npos ? 0 : labels_end);
    if (space == std::string_view::npos) continue;
    std::string_view value = line.substr(space + 1);
    value = value.substr(0, value.find(' '));  // a time may follow
    double number = 0;
    if (Read(value, &number)) metrics.emplace(line.substr(0, space), number);
  }
  return metrics;
}

std::optional<double> SumOf(const Metrics& metrics, std::string_view name) {
  std::optional<double> sum;
  VisitSeries(metrics, name,
              [&sum](std::string_view, double value) { sum = sum.value_or(0) + value; });
  return sum;
}

Histogram HistogramOf(const Metrics& metrics, std::string_view name, const Metrics* before) {
  Histogram now = Buckets(metrics, name);
  if (before == nullptr) return now;
  const Histogram then = Buckets(*before, name);
  Histogram since = now;
  for (auto& [bound, count] : since) {
    const auto it = then.find(bound);
    if (it == then.end()) continue;
    count -= it->second;
    if (count < 0) return now;
  }
  return since;
}

std::optional<double> Quantile(double q, const Histogram& histogram) {
  if (histogram.empty()) return std::nullopt;
  const double total = histogram.rbegin()->second;
  if (!(total > 0)) return std::nullopt;
  const double rank = q * total;
  double lower_bound = 0, below = 0;
  for (const auto& [bound, count] : histogram) {
    if (count >= rank && count > below) {
      if (std::isinf(bound)) return lower_bound;
      return lower_bound + (bound - lower_bound) * (rank - below) / (count - below);
    }
    lower_bound = bound;
    below = count;
  }
  return lower_bound;
}

}  // namespace keel::kvctl
