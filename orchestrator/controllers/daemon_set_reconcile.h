// What a DaemonSet needs done: a pure function of it, its pods, its revisions and all nodes.
//
//   Plan plan = ReconcileDaemonSet({.set = set, .pods = pods, .revisions = revisions,
//                                   .nodes = nodes, .now = now});
//
// Each pod is bound to its node by an affinity to the node's name, so that the scheduler places
// it; it tolerates what troubles nodes, since daemons are there to mend them.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "orchestrator/controllers/node_info.h"
#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

struct DaemonSetState {
  const json::object& set;
  std::vector<const PodInfo*> pods;            // whose controller it is
  std::vector<const json::object*> revisions;  // ControllerRevisions whose controller it is
  std::vector<const NodeInfo*> nodes;          // all
  absl::Time now;
};
Plan ReconcileDaemonSet(const DaemonSetState& state);

// The tolerations that every pod of a DaemonSet has.
json::array DaemonTolerations(bool host_network);

}  // namespace keel::orchestrator
