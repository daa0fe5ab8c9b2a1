#include "orchestrator/controllers/disruption_budget.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

// An eviction that the API server granted is expected to have begun by then.
constexpr absl::Duration kEvictionPatience = absl::Minutes(2);

bool IsPercent(const json::value* value) { return value != nullptr && value->is_string(); }

struct Expected {
  int64_t pods = 0, healthy = 0;
  std::string trouble{};
};

Expected ExpectedOf(const BudgetState& state) {
  const json::value* min_available = Find(state.budget, {"spec", "minAvailable"});
  const json::value* max_unavailable = Find(state.budget, {"spec", "maxUnavailable"});
  Expected expected{.pods = static_cast<int64_t>(state.pods.size())};
  if (max_unavailable == nullptr && !IsPercent(min_available)) {
    expected.healthy = ScaledValue(min_available, 0, true, 1);
    return expected;
  }
  std::map<std::string, int64_t> controllers;
  for (const PodInfo* pod : state.pods) {
    const auto scale = state.scale_of(*pod);
    if (!scale.has_value()) {
      expected.trouble =
          base::StrCat(pod->owner.uid.empty() ? "found no controllers for pod \""
                                              : "found no scalable controller for pod \"",
                       pod->name, "\"");
      return expected;
    }
    controllers[scale->uid] = scale->replicas;
  }
  expected.pods = 0;
  for (const auto& [uid, replicas] : controllers) expected.pods += replicas;
  expected.healthy = max_unavailable != nullptr
                         ? std::max<int64_t>(0, expected.pods - ScaledValue(max_unavailable,
                                                                            expected.pods, true, 0))
                         : ScaledValue(min_available, expected.pods, true, 0);
  return expected;
}

}  // namespace

Plan ReconcileBudget(const BudgetState& state) {
  Plan plan;
  json::object status = ObjectAt(state.budget, {"status"});
  // Evictions that were granted and are not seen in the cache yet.
  json::object disrupted;
  for (const auto& [name, since] : ObjectAt(state.budget, {"status", "disruptedPods"})) {
    const absl::Time at =
        since.is_string() ? TimeOf(View(since.get_string())) : absl::InfinitePast();
    const bool still = std::any_of(state.pods.begin(), state.pods.end(), [&](const PodInfo* pod) {
      return pod->name == std::string_view(name.data(), name.size()) && !pod->deleting;
    });
    if (!still || at + kEvictionPatience <= state.now) continue;
    disrupted[name] = since;
    plan.Again(at + kEvictionPatience - state.now);
  }
  int64_t healthy = 0;
  for (const PodInfo* pod : state.pods) {
    healthy += pod->ready && !pod->deleting && !disrupted.contains(std::string(pod->name));
  }
  const Expected expected = ExpectedOf(state);
  const bool failed = !expected.trouble.empty();
  const int64_t allowed =
      failed || expected.pods <= 0 ? 0 : std::max<int64_t>(0, healthy - expected.healthy);
  status["disruptionsAllowed"] = allowed;
  status["currentHealthy"] = healthy;
  status["desiredHealthy"] = expected.healthy;
  status["expectedPods"] = expected.pods;
  status["observedGeneration"] = IntAt(state.budget, {"metadata", "generation"}, 1);
  if (disrupted.empty()) {
    status.erase("disruptedPods");
  } else {
    status["disruptedPods"] = std::move(disrupted);
  }
  json::array conditions = ArrayAt(state.budget, {"status", "conditions"});
  SetCondition(conditions, "DisruptionAllowed", allowed > 0,
               failed        ? "SyncFailed"
               : allowed > 0 ? "SufficientPods"
                             : "InsufficientPods",
               expected.trouble, state.now);
  for (json::value& condition : conditions) {
    condition.as_object()["observedGeneration"] =
        IntAt(state.budget, {"metadata", "generation"}, 1);
  }
  status["conditions"] = std::move(conditions);
  if (failed) plan.notes.push_back({true, "NoControllers", expected.trouble});
  if (status != ObjectAt(state.budget, {"status"})) plan.status = std::move(status);
  // Said when it begins, not each time.
  if (!plan.status.has_value()) plan.notes.clear();
  return plan;
}

}  // namespace keel::orchestrator
