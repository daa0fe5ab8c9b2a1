// As many pods of one template as wanted: the engine of ReplicaSets and ReplicationControllers.
//
//   Plan plan = ReconcileReplicas({.set = rs, .kind = kReplicaSetKind, .pods = pods,
//                                  .may_manage = expectations.Satisfied(key, now), .now = now});
//
// Pure. Pods are adopted when the selector selects them and nobody controls them, released when it
// no longer does. Those to delete are chosen as Kubernetes does (ActivePodsWithRanks): not bound,
// then pending, not ready, cheap to delete (controller.kubernetes.io/pod-deletion-cost), on nodes
// with many of the set, ready for a short time, restarted often, young.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

inline constexpr ResourceRef kReplicaSetRef{"apps", "v1", "replicasets"};
inline constexpr ResourceRef kReplicationControllerRef{"", "v1", "replicationcontrollers"};

struct ReplicasKind {
  std::string_view api_version, kind;
  ResourceRef resource;
};
inline constexpr ReplicasKind kReplicaSetKind{"apps/v1", "ReplicaSet", kReplicaSetRef};
inline constexpr ReplicasKind kReplicationControllerKind{"v1", "ReplicationController",
                                                         kReplicationControllerRef};

struct ReplicasState {
  const json::object& set;
  ReplicasKind kind;
  // All that the set controls, and those of its namespace that nobody does.
  std::vector<const PodInfo*> pods{};
  bool may_manage = true;  // the cache holds all that was done before
  // What the last try to create or delete met with; empty: nothing.
  std::string failure_reason{}, failure_message{};  // "FailedCreate"
  absl::Time now;
};

// What selects the set's pods. A ReplicationController selects by a plain map.
LabelSelector SelectorOf(const json::object& set, const ReplicasKind& kind);
bool Selects(const LabelSelector& selector, const PodInfo& pod);

Plan ReconcileReplicas(const ReplicasState& state);

// Whether `a` is to be deleted rather than `b`. `rank`: pods of the set on the pod's node.
struct RankedPod {
  const PodInfo* pod = nullptr;
  size_t rank = 0;
};
bool DeletedBefore(const RankedPod& a, const RankedPod& b);

// At most so many pods are created, and so many deleted, by one plan.
inline constexpr int64_t kBurstReplicas = 500;

}  // namespace keel::orchestrator
