#include "orchestrator/controllers/autoscaler.h"

#include <algorithm>
#include <limits>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

constexpr absl::Duration kLongestPeriod = absl::Minutes(30);

struct Policy {
  bool percent;
  int64_t value;
  absl::Duration period;
};

// spec.behavior.scaleUp or scaleDown, with what holds when it says nothing.
struct Rules {
  absl::Duration stabilization;
  std::vector<Policy> policies;
  std::string_view select = "Max";
};

Rules RulesOf(const AutoscalerState& state, bool up) {
  const json::object& given =
      ObjectAt(state.hpa, {"spec", "behavior", up ? "scaleUp" : "scaleDown"});
  Rules rules;
  rules.stabilization = up ? absl::ZeroDuration() : state.downscale_stabilization;
  const json::value* window = Find(given, {"stabilizationWindowSeconds"});
  if (window != nullptr && window->is_int64()) {
    rules.stabilization = absl::Seconds(window->get_int64());
  }
  if (const std::string_view select = StringAt(given, {"selectPolicy"}); !select.empty()) {
    rules.select = select;
  }
  for (const json::value& each : ArrayAt(given, {"policies"})) {
    rules.policies.push_back({StringAt(each, {"type"}) == "Percent", IntAt(each, {"value"}),
                              absl::Seconds(IntAt(each, {"periodSeconds"}, 15))});
  }
  if (rules.policies.empty()) {
    if (up) rules.policies.push_back({false, 4, absl::Seconds(15)});
    rules.policies.push_back({true, 100, absl::Seconds(15)});
  }
  return rules;
}

int64_t ChangedWithin(const std::vector<std::pair<absl::Time, int64_t>>& changes,
                      absl::Duration period, absl::Time now) {
  int64_t sum = 0;
  for (const auto& [at, count] : changes) sum += at > now - period ? count : 0;
  return sum;
}

// The highest number (up), or the lowest (down), that the policies allow now.
int64_t Limit(const Rules& rules, bool up, int64_t current, const AutoscalerMemory& memory,
              absl::Time now) {
  if (rules.select == "Disabled") return current;
  std::optional<int64_t> limit;
  for (const Policy& policy : rules.policies) {
    const int64_t added = ChangedWithin(memory.ups, policy.period, now);
    const int64_t removed = ChangedWithin(memory.downs, policy.period, now);
    const int64_t start = current - added + removed;  // when the period began
    int64_t bound = up ? start + policy.value : start - policy.value;
    if (policy.percent) {
      bound = up ? (start * (100 + policy.value) + 99) / 100
                 : start * std::max<int64_t>(0, 100 - policy.value) / 100;
    }
    if (!limit.has_value()) limit = bound;
    // Max is the policy that changes most.
    const bool high = (rules.select == "Max") == up;
    limit = high ? std::max(*limit, bound) : std::min(*limit, bound);
  }
  return up ? std::max(current, *limit) : std::min(current, *limit);
}

std::string ValueText(int64_t value, bool cpu) {
  return cpu ? base::StrCat(value, "m") : base::StrCat(value);
}

class Reconcile {
 public:
  Reconcile(const AutoscalerState& state, AutoscalerMemory& memory)
      : state_(state),
        memory_(memory),
        status_(ObjectAt(state.hpa, {"status"})),
        conditions_(ArrayAt(state.hpa, {"status", "conditions"})),
        current_(state.spec_replicas),
        min_(IntAt(state.hpa, {"spec", "minReplicas"}, 1)),
        max_(IntAt(state.hpa, {"spec", "maxReplicas"}, 1)) {}

  Autoscaled Run() {
    // What runs when it is first looked at counts as having been asked for.
    if (memory_.recommendations.empty()) memory_.recommendations.emplace_back(state_.now, current_);
    Set("AbleToScale", true, "SucceededGetScale",
        "the HPA controller was able to get the target's current scale");
    int64_t desired = current_;
    std::string why;
    if (current_ == 0 && min_ != 0) {
      Set("ScalingActive", false, "ScalingDisabled",
          "scaling is disabled since the replica count of the target is zero");
    } else if (current_ > max_) {
      desired = max_;
      why = "Current number of replicas above Spec.MaxReplicas";
    } else if (current_ < min_) {
      desired = min_;
      why = "Current number of replicas below Spec.MinReplicas";
    } else if (const auto proposed = Propose(); proposed.has_value()) {
      desired = Bound(Stabilize(*proposed));
      why = desired > current_ ? base::StrCat(best_metric_, " above target")
                               : std::string("All metrics below target");
    }
    if (desired != current_) {
      result_.replicas = desired;
      Set("AbleToScale", true, "SucceededRescale",
          base::StrCat("the HPA controller was able to update the target scale to ", desired));
      result_.plan.notes.push_back(
          {false, "SuccessfulRescale", base::StrCat("New size: ", desired, "; reason: ", why)});
      status_["lastScaleTime"] = TimeText(state_.now);
      (desired > current_ ? memory_.ups : memory_.downs)
          .emplace_back(state_.now, std::abs(desired - current_));
    }
    Forget();
    status_["currentReplicas"] = state_.status_replicas;
    status_["desiredReplicas"] = desired;
    const json::value* generation = Find(state_.hpa, {"metadata", "generation"});
    if (generation != nullptr) status_["observedGeneration"] = *generation;
    status_["conditions"] = std::move(conditions_);
    if (status_ != ObjectAt(state_.hpa, {"status"})) result_.plan.status = std::move(status_);
    return std::move(result_);
  }

 private:
  void Set(std::string_view type, bool value, std::string_view reason, std::string_view message) {
    SetCondition(conditions_, type, value, reason, message, state_.now);
  }

  // The highest of the metrics' proposals; nothing when none can be had, or when one cannot and the
  // others would shrink.
  std::optional<int64_t> Propose() {
    std::optional<int64_t> best;
    std::optional<std::pair<std::string, std::string>> failure;
    json::array current_metrics;
    for (const json::value& metric : ArrayAt(state_.hpa, {"spec", "metrics"})) {
      const std::string_view type = StringAt(metric, {"type"});
      if (type != "Resource") {
        const std::string reason = base::StrCat("FailedGet", type, "Metric");
        if (!failure) {
          failure.emplace(reason,
                          base::StrCat("the HPA was unable to compute the replica count: unable to "
                                       "get metrics of type ",
                                       type, ": no API of such metrics is served"));
        }
        continue;
      }
      const std::string_view name = StringAt(metric, {"resource", "name"});
      const bool cpu = name == "cpu";
      const json::object& target = ObjectAt(metric, {"resource", "target"});
      const bool by_value = StringAt(target, {"type"}) == "AverageValue";
      const json::value* value = Find(target, {"averageValue"});
      const int64_t goal = by_value ? (value == nullptr ? 0 : QuantityAt(*value, cpu ? 1000 : 1))
                                    : IntAt(target, {"averageUtilization"});
      const auto proposal = name == "cpu" || name == "memory"
                                ? ProposeByResource(state_, cpu, by_value, goal)
                                : absl::StatusOr<Proposal>(absl::InvalidArgumentError(
                                      base::StrCat("no metrics are known for resource ", name)));
      if (!proposal.ok()) {
        if (!failure) {
          failure.emplace("FailedGetResourceMetric",
                          base::StrCat("the HPA was unable to compute the replica count: ",
                                       proposal.status().message()));
        }
        continue;
      }
      json::object current{{"averageValue", ValueText(proposal->average_value, cpu)}};
      if (!by_value) current["averageUtilization"] = proposal->utilization_percent;
      current_metrics.push_back(json::object{
          {"type", "Resource"}, {"resource", {{"name", name}, {"current", std::move(current)}}}});
      if (best.has_value() && *best >= proposal->replicas) continue;
      best = proposal->replicas;
      best_metric_ = by_value ? base::StrCat(name, " resource")
                              : base::StrCat(name, " resource utilization (percentage of request)");
    }
    if (current_metrics.empty()) {
      status_.erase("currentMetrics");
    } else {
      status_["currentMetrics"] = std::move(current_metrics);
    }
    if (failure && (!best.has_value() || *best < current_)) {
      Set("ScalingActive", false, failure->first, failure->second);
      result_.plan.notes.push_back({true, failure->first, failure->second});
      return std::nullopt;
    }
    if (!best.has_value()) return std::nullopt;
    Set("ScalingActive", true, "ValidMetricFound",
        base::StrCat("the HPA was able to successfully calculate a replica count from ",
                     best_metric_));
    return best;
  }

  int64_t Stabilize(int64_t proposed) {
    const absl::Duration up = RulesOf(state_, true).stabilization;
    const absl::Duration down = RulesOf(state_, false).stabilization;
    int64_t least = proposed, most = proposed;
    for (const auto& [at, replicas] : memory_.recommendations) {
      if (at > state_.now - up) least = std::min(least, replicas);
      if (at > state_.now - down) most = std::max(most, replicas);
    }
    memory_.recommendations.emplace_back(state_.now, proposed);
    const int64_t stable = std::clamp(current_, least, most);
    if (stable == proposed) {
      Set("AbleToScale", true, "ReadyForNewScale", "recommended size matches current size");
    } else if (proposed > stable) {
      Set("AbleToScale", true, "ScaleUpStabilized",
          "recent recommendations were lower than current one, applying the lowest recent "
          "recommendation");
    } else {
      Set("AbleToScale", true, "ScaleDownStabilized",
          "recent recommendations were higher than current one, applying the highest recent "
          "recommendation");
    }
    return stable;
  }

  int64_t Bound(int64_t wanted) {
    int64_t bounded = wanted;
    std::string_view reason = "DesiredWithinRange",
                     message = "the desired count is within the acceptable range";
    if (wanted > current_) {
      const int64_t limit = Limit(RulesOf(state_, true), true, current_, memory_, state_.now);
      if (bounded > limit) {
        bounded = limit;
        reason = "ScaleUpLimit";
        message = "the desired replica count is increasing faster than the maximum scale rate";
      }
    } else if (wanted < current_) {
      const int64_t limit = Limit(RulesOf(state_, false), false, current_, memory_, state_.now);
      if (bounded < limit) {
        bounded = limit;
        reason = "ScaleDownLimit";
        message = "the desired replica count is decreasing faster than the maximum scale rate";
      }
    }
    if (bounded > max_) {
      bounded = max_;
      reason = "TooManyReplicas";
      message = "the desired replica count is more than the maximum replica count";
    } else if (bounded < min_) {
      bounded = min_;
      reason = "TooFewReplicas";
      message = "the desired replica count is less than the minimum replica count";
    }
    Set("ScalingLimited", reason != "DesiredWithinRange", reason, message);
    return bounded;
  }

  void Forget() {
    for (auto* each : {&memory_.recommendations, &memory_.ups, &memory_.downs}) {
      std::erase_if(
          *each, [&](const auto& entry) { return entry.first <= state_.now - kLongestPeriod * 2; });
    }
  }

  const AutoscalerState& state_;
  AutoscalerMemory& memory_;
  json::object status_;
  json::array conditions_;
  const int64_t current_, min_, max_;
  std::string best_metric_;
  Autoscaled result_;
};

}  // namespace

Autoscaled ReconcileAutoscaler(const AutoscalerState& state, AutoscalerMemory& memory) {
  return Reconcile(state, memory).Run();
}

}  // namespace keel::orchestrator
