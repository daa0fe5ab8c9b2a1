// What the controllers keep of a node, and whether a pod fits one.
//
//   Informer<NodeInfo> nodes(client, {"", "v1", "nodes"});
//   if (!FirstUntolerated(node.taints, tolerations, {"NoSchedule", "NoExecute"})) ...
//
// Values and pure functions.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

struct Taint {
  std::string key, value, effect;
  absl::Time added = absl::InfinitePast();  // timeAdded
  friend bool operator==(const Taint&, const Taint&) = default;
};

struct NodeInfo {
  std::string name, uid;
  std::vector<std::pair<std::string, std::string>> labels;
  std::vector<Taint> taints;
  bool unschedulable = false;
  bool deleting = false;
  std::string ready = "Unknown";  // the Ready condition: "True", "False", "Unknown"
  absl::Time ready_heartbeat = absl::InfinitePast();
  absl::Time ready_since = absl::InfinitePast();
  absl::Time created = absl::InfinitePast();
  std::vector<std::string> pressures;  // conditions that are True and taint the node
  uint64_t resource_version = 0;

  std::string_view Label(std::string_view key) const;
  std::string zone() const;  // "REGION:\0:ZONE"; empty when the node has neither
  static NodeInfo Parse(const json::object& node);
};

// Whether one of the tolerations tolerates the taint.
bool Tolerates(const json::array& tolerations, const Taint& taint);
// Null when all taints of those effects are tolerated.
const Taint* FirstUntolerated(const std::vector<Taint>& taints, const json::array& tolerations,
                              std::initializer_list<std::string_view> effects);

// spec.nodeSelector and the required node affinity of a pod's spec.
bool NodeMatches(const json::object& pod_spec, const NodeInfo& node);

}  // namespace keel::orchestrator
