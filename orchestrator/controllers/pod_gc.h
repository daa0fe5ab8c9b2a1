// Which pods nobody else will remove: a pure function.
//
//   for (const PodGarbage& each : FindPodGarbage(pods, has_node, threshold, now)) force-delete it
//
// Pods of nodes that are gone, pods that are being deleted and never came to a node, and the oldest
// of the pods that have ended, beyond a threshold (Kubernetes' pod garbage collector).
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

struct PodGarbage {
  enum class Why : uint8_t { kNodeGone, kUnscheduled, kTerminated };
  const PodInfo* pod;
  Why why;
};

// `has_node` says whether a node of that name exists, or existed a moment ago.
// `threshold`: how many pods that have ended are kept; not positive: all.
std::vector<PodGarbage> FindPodGarbage(const std::vector<const PodInfo*>& pods,
                                       const std::function<bool(std::string_view node)>& has_node,
                                       int64_t threshold);

}  // namespace keel::orchestrator
