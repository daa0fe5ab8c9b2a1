// The nodes and the pods placed on them, with all that filters and scores ask for kept at hand.
//
//   Vocabulary words;
//   Cluster cluster(words);
//   cluster.SetNode(ParseNode(object, words));
//   cluster.Place(pod, "node-1");            // also of a pod that is only assumed to be there
//   for (NodeIndex i : cluster.order()) cluster.node(i).requested ...
//   cluster.Remove("default/web-1");
//
// Nothing here walks all nodes or all pods, but for the order of nodes after one came or went.
// Pods whose node is not known yet are kept, and count when it comes. One thread only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/scheduler/pod_info.h"
#include "orchestrator/scheduler/volumes.h"

namespace keel::orchestrator::sched {

// What a Node object says.
struct NodeSpec {
  std::string name{};
  Symbol name_symbol = 0;
  Symbol zone = 0;
  LabelSet labels{};
  std::vector<Taint> taints{};
  bool unschedulable = false;
  Resources allocatable{};
  int64_t max_pods = 0;
  std::vector<std::pair<Symbol, int64_t>> images{};  // normalized names with bytes, sorted

  friend bool operator==(const NodeSpec&, const NodeSpec&) = default;
};
NodeSpec ParseNode(const json::object& node, Vocabulary& words);

struct NodeInfo : NodeSpec {
  NodeIndex index = 0;
  bool present = false;     // false: pods name it, but there is no such Node
  uint64_t generation = 0;  // grows with each change of anything here; unique among all nodes
  Resources requested{};
  int64_t score_cpu = 0, score_memory = 0;  // of its pods (PodClass)
  std::vector<PodPtr> pods{};
  std::vector<HostPort> used_ports{};
  std::vector<PodPtr> nominated{};  // will run here once their victims have gone
};

class Cluster {
 public:
  explicit Cluster(Vocabulary& words) : words_(words) {}
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // False: nothing the scheduler looks at has changed.
  bool SetNode(NodeSpec spec);
  void RemoveNode(std::string_view name);

  // Puts the pod on the node, wherever one of the same key was before.
  void Place(PodPtr pod, std::string_view node);
  // False: no such pod.
  bool Remove(const std::string& key);
  struct Placed {
    PodPtr pod;
    NodeIndex node;
  };
  const Placed* FindPod(const std::string& key) const {
    auto found = pods_.find(key);
    return found == pods_.end() ? nullptr : &found->second;
  }

  // A pod that waits for its victims on that node to go; an empty node: no longer.
  void Nominate(const PodPtr& pod, std::string_view node);

  // Takes a pod off its node, and puts it back, to see what would be: the pod stays known.
  void TakeOff(const PodPtr& pod, NodeIndex node) { Count(pod, *nodes_[node], -1); }
  void PutBack(const PodPtr& pod, NodeIndex node) { Count(pod, *nodes_[node], +1); }

  // REQUIRES: the index is of order(), or of a pod.
  const NodeInfo& node(NodeIndex index) const { return *nodes_[index]; }
  // Whether there is such a node now (indexes are used again).
  bool IsPresent(NodeIndex index) const {
    return index < nodes_.size() && nodes_[index] && nodes_[index]->present;
  }
  const NodeInfo* FindNode(std::string_view name) const;
  // The nodes there are, one of each zone in turn. Valid until a node comes or goes.
  const std::vector<NodeIndex>& order() const;
  size_t node_count() const { return node_count_; }
  size_t pod_count() const { return pods_.size(); }
  int NodesWithImage(Symbol image) const {
    auto found = nodes_with_image_.find(image);
    return found == nodes_with_image_.end() ? 0 : found->second;
  }
  bool HasPodBelow(int priority) const {
    return !pods_by_priority_.empty() && pods_by_priority_.begin()->first < priority;
  }

  // Grows with whatever may make room: nodes that come or change, pods that go, volumes.
  uint64_t room_version() const { return room_version_; }
  // Grows with every change.
  uint64_t version() const { return version_; }

  Volumes& volumes() { return volumes_; }
  const Volumes& volumes() const { return volumes_; }
  void VolumesChanged() { ++version_, ++room_version_; }
  void SetNamespace(std::string_view name, const json::object& labels);

  Vocabulary& words() const { return words_; }
  const TermIndex& terms() const { return words_.terms; }

 private:
  NodeInfo& NodeNamed(std::string_view name);  // makes it when there is none
  void DropIfEmpty(NodeInfo& node);
  void Count(const PodPtr& pod, NodeInfo& node, int by);       // all that follows from the pod
  void CountTerms(const PodPtr& pod, NodeIndex node, int by);  // what depends on the node's labels
  void CountImages(const NodeSpec& spec, int by);
  void Touch(NodeInfo& node) { node.generation = ++generation_, ++version_; }

  Vocabulary& words_;
  Volumes volumes_;
  std::vector<std::unique_ptr<NodeInfo>> nodes_;
  std::vector<NodeIndex> free_;
  absl::flat_hash_map<std::string, NodeIndex> by_name_;
  absl::flat_hash_map<std::string, Placed> pods_;
  absl::flat_hash_map<std::string, NodeIndex> nominations_;  // by pod
  absl::flat_hash_map<Symbol, int> nodes_with_image_;
  std::map<int, int> pods_by_priority_;
  size_t node_count_ = 0;
  uint64_t generation_ = 0, version_ = 0, room_version_ = 0;
  mutable std::vector<NodeIndex> order_;
  mutable bool order_is_old_ = false;
};

}  // namespace keel::orchestrator::sched
