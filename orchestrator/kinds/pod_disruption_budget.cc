#include "orchestrator/api/selector.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/workload_check.h"

namespace keel::orchestrator {
namespace {

void Check(const json::object& object, FieldErrors& errors) {
  const json::value* least = Find(object, {"spec", "minAvailable"});
  const json::value* most = Find(object, {"spec", "maxUnavailable"});
  if (least != nullptr && most != nullptr) {
    errors.InvalidValue("spec", *Find(object, {"spec"}),
                        "minAvailable and maxUnavailable cannot be both set");
  }
  if (least != nullptr) CheckIntOrPercent(*least, "spec.minAvailable", true, errors);
  if (most != nullptr) CheckIntOrPercent(*most, "spec.maxUnavailable", true, errors);
  if (const json::value* selector = Find(object, {"spec", "selector"})) {
    CheckLabelSelector(*selector, "spec.selector", errors);
  }
}

}  // namespace

Kind PodDisruptionBudgetKind() {
  return {
      .group = "policy",
      .version = "v1",
      .kind = "PodDisruptionBudget",
      .plural = "poddisruptionbudgets",
      .short_names = {"pdb"},
      .types = R"(
# How many of a set of pods must stay when pods are evicted.
PodDisruptionBudget {
  spec    PodDisruptionBudgetSpec    -- What must stay.
  status  PodDisruptionBudgetStatus  -- What may go now.
}
# What must stay.
PodDisruptionBudgetSpec {
  minAvailable                intstr                 -- How many must stay, as a number or a percentage.
  selector                    LabelSelector retainkeys -- Which pods.
  maxUnavailable              intstr                 -- How many may be missing, as a number or a percentage.
  unhealthyPodEvictionPolicy  string enum(AlwaysAllow, IfHealthyBudget) -- When pods that are not ready may go.
}
# What may go now.
PodDisruptionBudgetStatus {
  observedGeneration   int64                       -- The generation that the status is about.
  disruptedPods        {time}                      -- Pods whose eviction has been let through.
  disruptionsAllowed!  int32                       -- How many more may go.
  currentHealthy!      int32                       -- How many pods are healthy.
  desiredHealthy!      int32                       -- How many must be.
  expectedPods!        int32                       -- How many pods are counted.
  conditions           [Condition] key(type) dups       -- Aspects of its state.
}
)",
      .columns = {TextColumn("Min Available", {"spec", "minAvailable"}, "N/A"),
                  TextColumn("Max Unavailable", {"spec", "maxUnavailable"}, "N/A"),
                  IntColumn("Allowed Disruptions", {"status", "disruptionsAllowed"}), AgeColumn()},
      .has_status = true,
      .has_generation = true,
      .can_update_without_version = false,
      .prepare =
          [](json::object& object, const json::object* before) {
            ResetStatus(object, before,
                        {{"disruptionsAllowed", 0},
                         {"currentHealthy", 0},
                         {"desiredHealthy", 0},
                         {"expectedPods", 0}});
          },
      .check = Check,
  };
}

}  // namespace keel::orchestrator
