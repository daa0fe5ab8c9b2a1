// The one list of controllers: a new one is a line here.
#include "orchestrator/controllers/autoscaler_controller.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/deployment_controller.h"
#include "orchestrator/controllers/disruption_controller.h"
#include "orchestrator/controllers/endpoints_controller.h"
#include "orchestrator/controllers/garbage_collector.h"
#include "orchestrator/controllers/namespace_controller.h"
#include "orchestrator/controllers/node_controllers.h"
#include "orchestrator/controllers/quota_controller.h"
#include "orchestrator/controllers/replica_set_controller.h"
#include "orchestrator/controllers/service_account_controller.h"
#include "orchestrator/controllers/volume_controllers.h"
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
      {"disruption-controller",
       [](ControllerContext& c) { return std::make_unique<DisruptionController>(c); }},
      {"endpoints-controller",
       [](ControllerContext& c) {
         return std::make_unique<EndpointsController>(c, EndpointsController::Writes::kEndpoints);
       }},
      {"endpointslice-controller",
       [](ControllerContext& c) {
         return std::make_unique<EndpointsController>(c, EndpointsController::Writes::kSlices);
       }},
      {"garbage-collector-controller",
       [](ControllerContext& c) { return std::make_unique<GarbageCollector>(c); }},
      {"horizontal-pod-autoscaler-controller",
       [](ControllerContext& c) { return std::make_unique<AutoscalerController>(c); }},
      {"job-controller", [](ControllerContext& c) { return std::make_unique<JobController>(c); }},
      {"namespace-controller",
       [](ControllerContext& c) { return std::make_unique<NamespaceController>(c); }},
      {"node-lifecycle-controller",
       [](ControllerContext& c) { return std::make_unique<NodeLifecycleController>(c); }},
      {"persistentvolume-binder-controller",
       [](ControllerContext& c) { return std::make_unique<VolumeController>(c); }},
      {"persistentvolumeclaim-binder-controller",
       [](ControllerContext& c) { return std::make_unique<ClaimController>(c); }},
      {"pod-garbage-collector-controller",
       [](ControllerContext& c) { return std::make_unique<PodGcController>(c); }},
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
      {"resourcequota-controller",
       [](ControllerContext& c) { return std::make_unique<QuotaController>(c); }},
      {"root-ca-certificate-publisher-controller", MakeRootCaPublisher},
      {"serviceaccount-controller", MakeServiceAccountController},
      {"statefulset-controller",
       [](ControllerContext& c) { return std::make_unique<StatefulSetController>(c); }},
      {"taint-eviction-controller",
       [](ControllerContext& c) { return std::make_unique<TaintEvictionController>(c); }},
  };
  return *kAll;
}

}  // namespace keel::orchestrator
