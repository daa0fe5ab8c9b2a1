#include "orchestrator/scheduler/cluster.h"

#include "base/check.h"
#include "orchestrator/scheduler/amounts.h"

namespace keel::orchestrator::sched {

NodeSpec ParseNode(const json::object& node, Vocabulary& words) {
  NodeSpec out;
  Symbols& symbols = words.symbols;
  out.name = StringAt(node, {"metadata", "name"});
  out.name_symbol = symbols.Of(out.name);
  out.labels = ParseLabels(ObjectAt(node, {"metadata", "labels"}), symbols);
  out.zone = out.labels.Get(symbols.Of("topology.kubernetes.io/zone"));
  if (out.zone == 0) {
    out.zone = out.labels.Get(symbols.Of("failure-domain.beta.kubernetes.io/zone"));
  }
  for (const json::value& taint : ArrayAt(node, {"spec", "taints"})) {
    out.taints.push_back({.key = symbols.Of(StringAt(taint, {"key"})),
                          .value = symbols.Of(StringAt(taint, {"value"})),
                          .effect = ParseTaintEffect(StringAt(taint, {"effect"}))});
  }
  out.unschedulable = BoolAt(node, {"spec", "unschedulable"});
  json::object allocatable = ObjectAt(node, {"status", "allocatable"});
  if (allocatable.empty()) allocatable = ObjectAt(node, {"status", "capacity"});
  if (const json::value* pods = Find(allocatable, {"pods"})) {
    out.max_pods = AmountOf(*pods);
    allocatable.erase("pods");
  }
  out.allocatable = ParseResources(allocatable, words);
  for (const json::value& image : ArrayAt(node, {"status", "images"})) {
    const int64_t bytes = IntAt(image, {"sizeBytes"});
    for (const json::value& name : ArrayAt(image, {"names"})) {
      if (!name.is_string()) continue;
      out.images.emplace_back(symbols.Of(NormalizedImage(View(name.get_string()))), bytes);
    }
  }
  std::sort(out.images.begin(), out.images.end());
  out.images.erase(std::unique(out.images.begin(), out.images.end(),
                               [](const auto& a, const auto& b) { return a.first == b.first; }),
                   out.images.end());
  return out;
}

bool Cluster::SetNode(NodeSpec spec) {
  NodeInfo& node = NodeNamed(spec.name);
  if (node.present && static_cast<NodeSpec&>(node) == spec) return false;
  for (const PodPtr& pod : node.pods) CountTerms(pod, node.index, -1);
  if (node.present) {
    words_.terms.DetachNode(node.index);
    CountImages(node, -1);
    if (node.zone != spec.zone) order_is_old_ = true;
  } else {
    node.present = true;
    ++node_count_;
    order_is_old_ = true;
  }
  static_cast<NodeSpec&>(node) = std::move(spec);
  CountImages(node, +1);
  words_.terms.AttachNode(node.index, node.labels);
  for (const PodPtr& pod : node.pods) CountTerms(pod, node.index, +1);
  Touch(node);
  ++room_version_;
  return true;
}

void Cluster::RemoveNode(std::string_view name) {
  auto found = by_name_.find(base::ToAbsl(name));
  if (found == by_name_.end() || !nodes_[found->second]->present) return;
  NodeInfo& node = *nodes_[found->second];
  for (const PodPtr& pod : node.pods) CountTerms(pod, node.index, -1);
  words_.terms.DetachNode(node.index);
  for (const PodPtr& pod : node.pods) CountTerms(pod, node.index, +1);
  CountImages(node, -1);
  node.present = false;
  --node_count_;
  order_is_old_ = true;
  Touch(node);
  // A domain fewer may be what a spread waited for.
  ++room_version_;
  DropIfEmpty(node);
}

NodeInfo& Cluster::NodeNamed(std::string_view name) {
  auto found = by_name_.find(base::ToAbsl(name));
  if (found != by_name_.end()) return *nodes_[found->second];
  NodeIndex index;
  if (free_.empty()) {
    index = static_cast<NodeIndex>(nodes_.size());
    nodes_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  nodes_[index] = std::make_unique<NodeInfo>();
  NodeInfo& node = *nodes_[index];
  node.name = name;
  node.index = index;
  node.generation = ++generation_;
  by_name_.emplace(std::string(name), index);
  return node;
}

void Cluster::DropIfEmpty(NodeInfo& node) {
  if (node.present || !node.pods.empty() || !node.nominated.empty()) return;
  const NodeIndex index = node.index;
  by_name_.erase(node.name);
  nodes_[index].reset();
  free_.push_back(index);
}

void Cluster::Place(PodPtr pod, std::string_view on) {
  std::string key = pod->Key();
  NodeInfo& node = NodeNamed(on);
  auto [found, is_new] = pods_.try_emplace(std::move(key));
  Placed& placed = found->second;
  if (!is_new) {
    const bool same = placed.node == node.index && placed.pod->cls == pod->cls &&
                      placed.pod->terminating == pod->terminating;
    if (same) {
      *std::find(node.pods.begin(), node.pods.end(), placed.pod) = pod;
      placed.pod = std::move(pod);
      return;
    }
    NodeInfo& before = *nodes_[placed.node];
    Count(placed.pod, before, -1);
    if (--pods_by_priority_[placed.pod->cls->priority] == 0) {
      pods_by_priority_.erase(placed.pod->cls->priority);
    }
    ++room_version_;
    if (&before != &node) DropIfEmpty(before);
  }
  placed = {pod, node.index};
  ++pods_by_priority_[pod->cls->priority];
  Count(pod, node, +1);
}

bool Cluster::Remove(const std::string& key) {
  auto found = pods_.find(key);
  if (found == pods_.end()) return false;
  const Placed placed = std::move(found->second);
  pods_.erase(found);
  if (--pods_by_priority_[placed.pod->cls->priority] == 0) {
    pods_by_priority_.erase(placed.pod->cls->priority);
  }
  NodeInfo& node = *nodes_[placed.node];
  Count(placed.pod, node, -1);
  ++room_version_;
  DropIfEmpty(node);
  return true;
}

void Cluster::Nominate(const PodPtr& pod, std::string_view on) {
  const std::string key = pod->Key();
  auto found = nominations_.find(key);
  if (found != nominations_.end()) {
    NodeInfo& before = *nodes_[found->second];
    std::erase_if(before.nominated, [&](const PodPtr& p) { return p->Key() == key; });
    nominations_.erase(found);
    Touch(before);
    ++room_version_;
    DropIfEmpty(before);
  }
  if (on.empty()) return;
  NodeInfo& node = NodeNamed(on);
  node.nominated.push_back(pod);
  nominations_.emplace(key, node.index);
  Touch(node);
}

void Cluster::Count(const PodPtr& pod, NodeInfo& node, int by) {
  const PodClass& cls = *pod->cls;
  if (by > 0) {
    node.requested.Add(cls.requests);
    node.pods.push_back(pod);
    node.used_ports.insert(node.used_ports.end(), cls.host_ports.begin(), cls.host_ports.end());
  } else {
    node.requested.Subtract(cls.requests);
    auto found = std::find(node.pods.begin(), node.pods.end(), pod);
    KEEL_CHECK(found != node.pods.end(), "pod=", pod->Key(), " node=", node.name);
    *found = std::move(node.pods.back());
    node.pods.pop_back();
    for (const HostPort& port : cls.host_ports) {
      auto used =
          std::find_if(node.used_ports.begin(), node.used_ports.end(), [&](const HostPort& u) {
            return u.ip == port.ip && u.protocol == port.protocol && u.port == port.port;
          });
      if (used != node.used_ports.end()) node.used_ports.erase(used);
    }
  }
  node.score_cpu += by * cls.score_cpu;
  node.score_memory += by * cls.score_memory;
  CountTerms(pod, node.index, by);
  Touch(node);
}

void Cluster::CountTerms(const PodPtr& pod, NodeIndex node, int by) {
  const PodClass& cls = *pod->cls;
  TermIndex& terms = words_.terms;
  terms.Add(*cls.group, node, pod->terminating, by);
  for (const TermPtr& term : cls.anti_affinity) terms.AddBearer(*term, node, 1, 0, by);
  for (const TermPtr& term : cls.affinity_bearers) terms.AddBearer(*term, node, 0, 1, by);
  for (const WeightedTerm& w : cls.preferred) terms.AddBearer(*w.term, node, 0, w.weight, by);
}

void Cluster::CountImages(const NodeSpec& spec, int by) {
  for (const auto& [image, bytes] : spec.images) {
    if ((nodes_with_image_[image] += by) == 0) nodes_with_image_.erase(image);
  }
}

const NodeInfo* Cluster::FindNode(std::string_view name) const {
  auto found = by_name_.find(base::ToAbsl(name));
  if (found == by_name_.end() || !nodes_[found->second]->present) return nullptr;
  return nodes_[found->second].get();
}

const std::vector<NodeIndex>& Cluster::order() const {
  if (!order_is_old_) return order_;
  order_is_old_ = false;
  order_.clear();
  // Zones in the order in which they are met, so that a sample of nodes has some of each.
  std::vector<std::vector<NodeIndex>> zones;
  absl::flat_hash_map<Symbol, size_t> position;
  for (const auto& node : nodes_) {
    if (!node || !node->present) continue;
    const auto [found, is_new] = position.emplace(node->zone, zones.size());
    if (is_new) zones.emplace_back();
    zones[found->second].push_back(node->index);
  }
  for (size_t round = 0; order_.size() < node_count_; ++round) {
    for (const auto& zone : zones) {
      if (round < zone.size()) order_.push_back(zone[round]);
    }
  }
  return order_;
}

void Cluster::SetNamespace(std::string_view name, const json::object& labels) {
  words_.terms.SetNamespace(words_.symbols.Of(name), ParseLabels(labels, words_.symbols));
  ++version_, ++room_version_;
}

}  // namespace keel::orchestrator::sched
