// One step of a Deployment on its way: what to do to its ReplicaSets, and its status.
//
//   DeploymentPlan plan = ReconcileDeployment({.deployment = d, .sets = sets,
//                                              .old_pods = pods of sets, .now = now});
//
// Pure. Follows Kubernetes' deployment controller: a set is found by its template, scaled when the
// number of replicas changes (in proportion while a rollout is under way), rolled with maxSurge and
// maxUnavailable or recreated, and history is cut to revisionHistoryLimit. Every scaling names the
// resource version that it was decided on, so that an old cache ends in a Conflict and another try,
// never in too many or too few pods. A step leads to a state from which the next is found: a
// controller may be killed between any two requests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/replica_set_reconcile.h"

namespace keel::orchestrator {

inline constexpr ResourceRef kDeploymentRef{"apps", "v1", "deployments"};

struct DeploymentState {
  const json::object& deployment;
  // Those that it controls, and those of its namespace that nobody does.
  std::vector<const json::object*> sets{};
  // How many pods of a set have not ended, by its uid (Recreate waits for them).
  absl::flat_hash_map<std::string, int64_t> running_pods{};
  absl::Time now;
};

// The requests' notes and the order are as in Plan; a create may meet AlreadyExists: then
// `collision_possible` names the set, and the shell looks whether it is ours (IsSameTemplate) or
// counts status.collisionCount.
struct DeploymentPlan {
  Plan plan;
  std::string creates{};  // the name of the set that is created; empty: none
};
DeploymentPlan ReconcileDeployment(const DeploymentState& state);

// Whether the set's template is the deployment's, the label pod-template-hash aside.
bool IsSameTemplate(const json::object& deployment, const json::object& set);

// spec.strategy.rollingUpdate, resolved against spec.replicas: surge rounded up, unavailable down,
// and not both 0.
struct RollingLimits {
  int64_t surge = 0;
  int64_t unavailable = 0;
};
RollingLimits LimitsOf(const json::object& deployment);

}  // namespace keel::orchestrator
