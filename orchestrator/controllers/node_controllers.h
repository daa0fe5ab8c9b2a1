// The controllers around nodes: shells over node_lifecycle.h and pod_gc.h.
//
//   NodeLifecycleController   marks and taints nodes that do not answer (each 5 s, and at once what
//                             a node's own state asks for)
//   TaintEvictionController   deletes pods that do not tolerate a taint of their node, in time
//   PodGcController           deletes pods that nobody else will (each 20 s)
//
//   auto controller = std::make_unique<NodeLifecycleController>(context);
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/node_cache.h"
#include "orchestrator/controllers/node_lifecycle.h"

namespace keel::orchestrator {

class NodeLifecycleController final : public Controller {
 public:
  explicit NodeLifecycleController(ControllerContext& context);
  void Start() override;

 private:
  struct Lease {
    absl::Time renewed;
    static Lease Parse(const json::object& lease);
  };

  void OnNode(const NodeInfo* before, const NodeInfo* now);
  void Tick();
  void MarkUnknown(const NodeInfo& node, bool never_posted);
  void MarkPodsNotReady(const std::string& node);
  void SetTaints(const NodeInfo& node, const std::vector<Taint>& taints);

  ControllerContext& context_;
  NodeCache nodes_;
  Informer<Lease> leases_;
  NodeLifecycle lifecycle_;
};

class TaintEvictionController final : public Controller {
 public:
  explicit TaintEvictionController(ControllerContext& context);
  void Start() override;

 private:
  void Sync(const ObjectKey& key, WorkQueue<ObjectKey>::Done done);

  ControllerContext& context_;
  NodeCache nodes_;
  WorkQueue<ObjectKey> queue_;
};

class PodGcController final : public Controller {
 public:
  explicit PodGcController(ControllerContext& context);
  void Start() override;

 private:
  void Tick();
  void Collect(const ObjectKey& key, WorkQueue<ObjectKey>::Done done);

  ControllerContext& context_;
  NodeCache nodes_;
  absl::flat_hash_map<std::string, base::TimePoint> missing_;  // nodes of pods: since when
  absl::flat_hash_map<ObjectKey, bool> of_gone_nodes_;         // what is queued: and why
  WorkQueue<ObjectKey> queue_;
};

}  // namespace keel::orchestrator
