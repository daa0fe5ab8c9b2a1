// The controller of Deployments: deployment_reconcile.h, fed from the shared caches.
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <string>

#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/deployment_reconcile.h"
#include "orchestrator/controllers/plan_runner.h"

namespace keel::orchestrator {

class DeploymentController final : public Controller {
 public:
  explicit DeploymentController(ControllerContext& context);
  void Start() override;

 private:
  using Queue = WorkQueue<ObjectKey>;
  void OnSet(const RawObject* before, const RawObject* now);
  void OnPodGone(const PodInfo& pod);
  void Sync(const ObjectKey& key, Queue::Done done);
  // The name of the set that would be created is taken: by ourselves, or by chance.
  void Collided(const ObjectKey& key, const std::string& name, Queue::Done done);

  ControllerContext& context_;
  Informer<RawObject>& deployments_;
  Informer<RawObject>& sets_;
  // Names of sets by the uid of the deployment that controls them; under the namespace for those
  // that nobody does.
  absl::flat_hash_map<std::string, absl::flat_hash_set<ObjectKey>> by_owner_;
  PlanRunner runner_;
  Queue queue_;
};

}  // namespace keel::orchestrator
