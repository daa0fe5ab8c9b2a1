// The nodes that one process plays: what each is, has, and has given to pods. Pure.
//
//   NodeSet nodes({.count = 3});
//   nodes.Find("hollow-1");                       // 1
//   json::object node = nodes.NodeObject(1, now); // to create it
//
// Thread-safety: as any value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "orchestrator/api/json.h"
#include "orchestrator/node/pod_spec.h"

namespace keel::orchestrator {

struct NodeSetOptions {
  uint32_t count = 1;                   // --nodes
  uint32_t first = 0;                   // --first-node: number of the first
  std::string name_prefix = "hollow-";  // --name-prefix
  uint32_t zones = 3;                   // --zones: "zone-0", ... in turn
  std::string region = "keel";          // --region
  NodeResources capacity{.cpu_milli = 8'000, .memory_bytes = int64_t{32} << 30, .pods = 110};
  int64_t storage_bytes = int64_t{100} << 30;
  std::vector<std::pair<std::string, std::string>> labels{};  // --node-labels
  json::array taints{};                                       // --register-with-taints
  std::string runtime_version = "hollow://1.0";
};

struct HollowNode {
  std::string name, ip, uid;
  NodeResources used;
  bool registered = false;
  bool gone = false;                          // it was deleted; it does not come back
  bool down = false;                          // plays dead (label keel.io/hollow-down)
  bool writing = false;                       // a lease renewal is under way
  absl::Time renewed = absl::InfinitePast();  // last success
  absl::Time ready_since = absl::InfinitePast();
};

class NodeSet {
 public:
  explicit NodeSet(NodeSetOptions options);

  uint32_t size() const { return static_cast<uint32_t>(nodes_.size()); }
  HollowNode& at(uint32_t index) { return nodes_.at(index); }
  const HollowNode& at(uint32_t index) const { return nodes_.at(index); }
  const NodeSetOptions& options() const { return options_; }
  std::optional<uint32_t> Find(std::string_view name) const;

  // With status.
  json::object NodeObject(uint32_t index, absl::Time now) const;
  // Merge patch of metadata.labels, and strategic merge patch of status.
  json::object LabelsPatch(uint32_t index) const;
  json::object StatusPatch(uint32_t index, absl::Time now) const;
  json::object LeaseObject(uint32_t index, absl::Duration duration, absl::Time now) const;

  // Kubelet's admission: counts the pod's requests, or says why not, as a rejected pod's status has
  // it.
  struct Rejection {
    std::string reason, message;
  };
  std::optional<Rejection> Admit(uint32_t index, const PodSpec& spec);
  void Release(uint32_t index, const PodSpec& spec);

 private:
  json::object Labels(uint32_t index) const;
  json::object Status(uint32_t index, absl::Time now) const;

  NodeSetOptions options_;
  std::vector<HollowNode> nodes_;
  absl::flat_hash_map<std::string, uint32_t> by_name_;
};

}  // namespace keel::orchestrator
