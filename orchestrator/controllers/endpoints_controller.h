// The controllers of Endpoints and of EndpointSlices (endpoints_reconcile.h): one shell, either
// kind of object.
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/endpoints_reconcile.h"
#include "orchestrator/controllers/plan_runner.h"

namespace keel::orchestrator {

class EndpointsController final : public Controller {
 public:
  enum class Writes : uint8_t { kEndpoints, kSlices };
  EndpointsController(ControllerContext& context, Writes writes);
  void Start() override;

 private:
  using Queue = WorkQueue<ObjectKey>;
  using Keys = absl::flat_hash_set<ObjectKey>;
  void OnPod(const PodInfo* before, const PodInfo* now);
  void Sync(const ObjectKey& key, Queue::Done done);
  Plan Reconcile(const ObjectKey& key, const json::object& service) const;

  ControllerContext& context_;
  const Writes writes_;
  Informer<RawObject>& services_;
  Informer<RawObject>& objects_;                         // Endpoints or EndpointSlices
  absl::flat_hash_map<std::string, Keys> by_namespace_;  // services
  absl::flat_hash_map<ObjectKey, Keys> slices_;          // by service
  PlanRunner runner_;
  Queue queue_;
};

}  // namespace keel::orchestrator
