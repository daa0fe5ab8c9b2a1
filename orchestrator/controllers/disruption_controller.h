// The controller of PodDisruptionBudgets: a shell over disruption_budget.h.
//
//   auto controller = std::make_unique<DisruptionController>(context);
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include "orchestrator/controllers/disruption_budget.h"
#include "orchestrator/controllers/workload_controller.h"

namespace keel::orchestrator {

class DisruptionController final : public WorkloadController {
 public:
  explicit DisruptionController(ControllerContext& context);

 private:
  Plan Reconcile(const ObjectKey& key, const json::object& budget) override;
  void OnPod(const PodInfo& pod);
  std::optional<BudgetState::Scale> ScaleOf(const PodInfo& pod) const;

  Informer<RawObject>&replica_sets_, &deployments_, &controllers_, &stateful_sets_;
};

}  // namespace keel::orchestrator
