// How many pods of a PodDisruptionBudget may be evicted now: a pure function.
//
//   Plan plan = ReconcileBudget({.budget = budget, .pods = pods, .scale_of = scale_of,
//                                .now = now});
//
// Percentages, and maxUnavailable, count from what the pods' controllers are asked to run, not from
// what runs (Kubernetes' disruption controller).
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

struct BudgetState {
  const json::object& budget;
  std::vector<const PodInfo*> pods;  // that its selector selects
  // The replicas that the pod's controller is asked for, and that controller's uid (a Deployment's
  // for a ReplicaSet of one); nothing for controllers that cannot be scaled.
  struct Scale {
    std::string uid;
    int64_t replicas = 0;
  };
  std::function<std::optional<Scale>(const PodInfo& pod)> scale_of;
  absl::Time now;
};
Plan ReconcileBudget(const BudgetState& state);

}  // namespace keel::orchestrator
