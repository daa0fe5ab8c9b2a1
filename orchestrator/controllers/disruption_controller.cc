#include "orchestrator/controllers/disruption_controller.h"

#include <utility>

namespace keel::orchestrator {
namespace {

bool Selects(const json::object& budget, const PodInfo& pod) {
  const json::value* selector = Find(budget, {"spec", "selector"});
  // An empty selector selects all, a missing one nothing.
  return selector != nullptr && selector->is_object() &&
         SelectorMatches(selector->get_object(), pod.labels, true);
}

}  // namespace

DisruptionController::DisruptionController(ControllerContext& context)
    : WorkloadController(context, {.resource = {"policy", "v1", "poddisruptionbudgets"},
                                   .kind = "PodDisruptionBudget",
                                   .api_version = "policy/v1",
                                   .component = "controllermanager",
                                   .flag = "disruption",
                                   .owns_pods = false,
                                   .gather = std::chrono::milliseconds(50)}),
      replica_sets_(context.shared.Get({"apps", "v1", "replicasets"})),
      deployments_(context.shared.Get({"apps", "v1", "deployments"})),
      controllers_(context.shared.Get({"", "v1", "replicationcontrollers"})),
      stateful_sets_(context.shared.Get({"apps", "v1", "statefulsets"})) {
  context.pods.OnChange([this](const ObjectKey&, const PodInfo* before, const PodInfo* now) {
    if (before != nullptr) OnPod(*before);
    if (now != nullptr) OnPod(*now);
  });
  for (Informer<RawObject>* owners :
       {&replica_sets_, &deployments_, &controllers_, &stateful_sets_}) {
    owners->OnChange([this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
      if (before != nullptr && now != nullptr &&
          IntAt(before->object, {"spec", "replicas"}, 1) ==
              IntAt(now->object, {"spec", "replicas"}, 1)) {
        return;
      }
      for (const auto& [budget_key, budget] : objects_.objects()) {
        if (budget_key.ns == key.ns) QueueSoon(budget_key);
      }
    });
  }
}

void DisruptionController::OnPod(const PodInfo& pod) {
  for (const auto& [key, budget] : objects_.objects()) {
    if (key.ns == pod.ns && Selects(budget->object, pod)) QueueSoon(key);
  }
}

std::optional<BudgetState::Scale> DisruptionController::ScaleOf(const PodInfo& pod) const {
  const auto scale_in = [&](const Informer<RawObject>& objects,
                            const OwnerInfo& owner) -> const json::object* {
    const RawObject* found = objects.Find({std::string(pod.ns), std::string(owner.name)});
    return found != nullptr && UidOf(found->object) == std::string_view(owner.uid) ? &found->object
                                                                                   : nullptr;
  };
  const json::object* object = nullptr;
  if (pod.owner.kind == "ReplicaSet") {
    object = scale_in(replica_sets_, pod.owner);
    if (object != nullptr) {
      const OwnerInfo above = ControllerInfoOf(*object);
      if (above.kind == "Deployment") {
        if (const json::object* deployment = scale_in(deployments_, above)) object = deployment;
      }
    }
  } else if (pod.owner.kind == "ReplicationController") {
    object = scale_in(controllers_, pod.owner);
  } else if (pod.owner.kind == "StatefulSet") {
    object = scale_in(stateful_sets_, pod.owner);
  }
  if (object == nullptr) return std::nullopt;
  return BudgetState::Scale{std::string(UidOf(*object)), IntAt(*object, {"spec", "replicas"}, 1)};
}

Plan DisruptionController::Reconcile(const ObjectKey& key, const json::object& budget) {
  BudgetState state{.budget = budget,
                    .scale_of = [this](const PodInfo& pod) { return ScaleOf(pod); },
                    .now = context_.now()};
  for (const ObjectKey& pod_key : context_.pods.InNamespace(key.ns)) {
    const PodInfo* pod = context_.pods.Find(pod_key);
    // Pods that have ended are not there to be disrupted.
    if (pod != nullptr && !pod->terminal() && Selects(budget, *pod)) state.pods.push_back(pod);
  }
  return ReconcileBudget(state);
}

}  // namespace keel::orchestrator
