// The one list of controllers: a new one is a line here.
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/deployment_controller.h"
#include "orchestrator/controllers/replica_set_controller.h"
#include "orchestrator/controllers/workload_controllers.h"

namespace keel::orchestrator {

const std::vector<ControllerEntry>& AllControllers() {
  static const auto* const kAll = new std::vector<ControllerEntry>{
      {"cronjob-controller",
       [](ControllerContext& c) { return std::make_unique<CronJobController>(c); }},
      {"daemonset-controller",
       [](ControllerContext& c) { return std::make_unique<DaemonSetController>(c); }},
      {"deployment-controller",
       [](ControllerContext& c) { return std::make_unique<DeploymentController>(c); }},
      {"job-controller", [](ControllerContext& c) { return std::make_unique<JobController>(c); }},
      {"replicaset-controller",
       [](ControllerContext& c) {
         return std::make_unique<ReplicaSetController>(c, kReplicaSetKind, "replicaset-controller",
                                                       "replicaset");
       }},
      {"replicationcontroller-controller",
       [](ControllerContext& c) {
         return std::make_unique<ReplicaSetController>(c, kReplicationControllerKind,
                                                       "replication-controller", "rc");
       }},
      {"statefulset-controller",
       [](ControllerContext& c) { return std::make_unique<StatefulSetController>(c); }},
  };
  return *kAll;
}

}  // namespace keel::orchestrator
