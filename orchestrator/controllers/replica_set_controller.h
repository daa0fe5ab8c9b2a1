// The controllers of ReplicaSets and of ReplicationControllers: one engine
// (replica_set_reconcile.h) over two kinds.
//
//   auto controller = std::make_unique<ReplicaSetController>(context, kReplicaSetKind,
//                                                            "replicaset-controller",
//                                                            "replicaset");
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/expectations.h"
#include "orchestrator/controllers/plan_runner.h"
#include "orchestrator/controllers/replica_set_reconcile.h"

namespace keel::orchestrator {

class ReplicaSetController final : public Controller {
 public:
  // `flag`: the middle of --concurrent-X-syncs.
  ReplicaSetController(ControllerContext& context, const ReplicasKind& kind, std::string component,
                       std::string_view flag);
  void Start() override;

 private:
  using Queue = WorkQueue<ObjectKey>;
  void OnPod(const ObjectKey& key, const PodInfo* before, const PodInfo* now);
  // The set that controls the pod, if it is one of ours; else null.
  const json::object* OwnerOf(const PodInfo& pod, ObjectKey& key) const;
  void AddSelecting(const PodInfo& pod);
  void Sync(const ObjectKey& key, Queue::Done done);

  ControllerContext& context_;
  const ReplicasKind kind_;
  Informer<RawObject>& sets_;
  Expectations expectations_;
  absl::flat_hash_map<ObjectKey, std::pair<std::string, std::string>> failures_;
  PlanRunner runner_;
  Queue queue_;
};

}  // namespace keel::orchestrator
