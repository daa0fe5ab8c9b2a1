#include "orchestrator/scheduler/metrics.h"

#include "base/strings.h"

namespace keel::orchestrator::sched {
namespace {

constexpr std::string_view kResults[] = {"scheduled", "unschedulable", "error"};

void Type(std::string& out, std::string_view name, std::string_view type) {
  out += base::StrCat("# TYPE ", name, " ", type, "\n");
}

}  // namespace

void Histogram::Observe(double value) {
  size_t i = 0;
  for (double bound = first_; i < kBounds && value > bound; bound *= 2) ++i;
  ++counts_[i];
  sum_ += value;
}

void Histogram::Write(std::string& out, std::string_view name, std::string_view labels) const {
  const std::string_view comma = labels.empty() ? "" : ",";
  uint64_t total = 0;
  double bound = first_;
  for (size_t i = 0; i < kBounds; ++i, bound *= 2) {
    total += counts_[i];
    out += base::StrCat(name, "_bucket{", labels, comma, "le=\"", bound, "\"} ", total, "\n");
  }
  total += counts_[kBounds];
  const std::string braces = labels.empty() ? "" : base::StrCat("{", labels, "}");
  out += base::StrCat(name, "_bucket{", labels, comma, "le=\"+Inf\"} ", total, "\n", name, "_sum",
                      braces, " ", sum_, "\n", name, "_count", braces, " ", total, "\n");
}

void Metrics::Attempt(Result result, double seconds) {
  ++by_result_[static_cast<size_t>(result)];
  attempt_[static_cast<size_t>(result)].Observe(seconds);
}

void Metrics::Bound(int attempts, double seconds, double bind_seconds) {
  ++bound_;
  attempts_.Observe(attempts);
  sli_.Observe(seconds);
  binding_.Observe(bind_seconds);
}

void Metrics::Preempted(size_t victims) {
  ++preemptions_;
  victims_.Observe(static_cast<double>(victims));
}

std::string Metrics::Text(const Sizes& sizes) const {
  std::string out;
  const auto labels = [](size_t result) {
    return base::StrCat("profile=\"default-scheduler\",result=\"", kResults[result], "\"");
  };
  Type(out, "scheduler_schedule_attempts_total", "counter");
  for (size_t i = 0; i < by_result_.size(); ++i) {
    out += base::StrCat("scheduler_schedule_attempts_total{", labels(i), "} ", by_result_[i], "\n");
  }
  Type(out, "scheduler_scheduling_attempt_duration_seconds", "histogram");
  for (size_t i = 0; i < attempt_.size(); ++i) {
    attempt_[i].Write(out, "scheduler_scheduling_attempt_duration_seconds", labels(i));
  }
  Type(out, "scheduler_pod_scheduling_sli_duration_seconds", "histogram");
  sli_.Write(out, "scheduler_pod_scheduling_sli_duration_seconds", "");
  Type(out, "scheduler_framework_extension_point_duration_seconds", "histogram");
  binding_.Write(out, "scheduler_framework_extension_point_duration_seconds",
                 "extension_point=\"Bind\",profile=\"default-scheduler\",status=\"Success\"");
  Type(out, "scheduler_pod_scheduling_attempts", "histogram");
  attempts_.Write(out, "scheduler_pod_scheduling_attempts", "");
  Type(out, "scheduler_preemption_attempts_total", "counter");
  out += base::StrCat("scheduler_preemption_attempts_total ", preemptions_, "\n");
  Type(out, "scheduler_preemption_victims", "histogram");
  victims_.Write(out, "scheduler_preemption_victims", "");
  Type(out, "scheduler_pending_pods", "gauge");
  for (const auto& [queue, size] :
       {std::pair("active", sizes.active), std::pair("backoff", sizes.backoff),
        std::pair("unschedulable", sizes.unschedulable), std::pair("gated", sizes.gated)}) {
    out += base::StrCat("scheduler_pending_pods{queue=\"", queue, "\"} ", size, "\n");
  }
  Type(out, "scheduler_cache_size", "gauge");
  for (const auto& [type, size] : {std::pair("nodes", sizes.nodes), std::pair("pods", sizes.pods),
                                   std::pair("assumed_pods", sizes.assumed)}) {
    out += base::StrCat("scheduler_cache_size{type=\"", type, "\"} ", size, "\n");
  }
  Type(out, "leader_election_master_status", "gauge");
  out += base::StrCat("leader_election_master_status{name=\"kube-scheduler\"} ",
                      sizes.leading ? 1 : 0, "\n");
  return out;
}

}  // namespace keel::orchestrator::sched
