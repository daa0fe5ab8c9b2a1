// How many pods that a selector matches are in each domain of a topology, kept as pods come and go,
// so that neither (anti-)affinity nor topology spread ever walks all pods.
//
//   uint32_t zone = index.Topology(symbols.Of("topology.kubernetes.io/zone"));
//   TermPtr term = index.Intern({.selectors = {...}, .topology = zone});
//   LabelGroupPtr group = index.Group(ns, labels);      // of a pod
//   index.Add(*group, node, /*terminating=*/false, +1); // it was placed
//   term->matching().Get(index.ValueOn(zone, node));    // pods in that node's zone
//
// A term is a selector with its namespaces and a topology key; equal ones are one object, which
// lives as long as pods use it. A label group is the namespace and the labels of a pod: the terms
// that match it are found once, when either is first met. Adding a pod then costs one step per term
// that matches it, whatever the number of nodes and pods.
//
// One thread only. The index must outlive its terms and groups.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "orchestrator/scheduler/selector.h"

namespace keel::orchestrator::sched {

using NodeIndex = uint32_t;
inline constexpr NodeIndex kNoNode = UINT32_MAX;

// Counts of domains, with the smallest at hand.
class DomainCounts {
 public:
  void Add(Symbol domain, int by);
  int Get(Symbol domain) const {
    auto found = counts_.find(domain);
    return found == counts_.end() ? 0 : found->second;
  }
  int64_t total() const { return total_; }
  // The smallest count of `domains` domains, those without any among them.
  int Min(size_t domains) const;
  const absl::flat_hash_map<Symbol, int>& counts() const { return counts_; }

 private:
  absl::flat_hash_map<Symbol, int> counts_;  // none of 0
  std::vector<int> with_count_;              // how many domains have that count
  int64_t total_ = 0;
  mutable size_t least_ = 1;  // no domain of counts_ has a smaller count
};

struct TermSelector {
  LabelSelector pods{};
  std::vector<Symbol> namespaces{};  // sorted
  LabelSelector namespace_labels{.nothing = true};

  bool Matches(Symbol ns, const LabelSet& ns_labels, const LabelSet& labels) const;
  friend bool operator==(const TermSelector&, const TermSelector&) = default;
};

struct TermSpec {
  std::vector<TermSelector> selectors{};  // a pod must match all of them
  uint32_t topology = 0;
  bool live_only = false;  // without pods that are being deleted (topology spread)

  bool Matches(Symbol ns, const LabelSet& ns_labels, const LabelSet& labels) const;
  friend bool operator==(const TermSpec&, const TermSpec&) = default;
};

struct LabelGroup;

class Term {
 public:
  // What the pods that bear a term ask of others in their domain.
  struct Bearers {
    int anti = 0;        // pods with it as required anti-affinity
    int64_t weight = 0;  // of preferred terms, and 1 for each required affinity
  };

  const TermSpec& spec() const { return spec_; }
  const DomainCounts& matching() const { return matching_; }
  Bearers BearersIn(Symbol domain) const {
    auto found = bearers_.find(domain);
    return found == bearers_.end() ? Bearers() : found->second;
  }
  const absl::flat_hash_map<Symbol, Bearers>& bearers() const { return bearers_; }
  int anti_bearers() const { return anti_bearers_; }
  bool has_weights() const { return weights_ != 0; }
  const std::vector<LabelGroup*>& groups() const { return groups_; }

 private:
  friend class TermIndex;
  TermSpec spec_;
  DomainCounts matching_;
  absl::flat_hash_map<Symbol, Bearers> bearers_;  // none that is all 0
  int anti_bearers_ = 0;
  int64_t weights_ = 0;  // bearers with a weight
  std::vector<LabelGroup*> groups_;
};
using TermPtr = std::shared_ptr<const Term>;

struct LabelGroup {
  struct Pods {
    int live = 0, terminating = 0;
  };
  Symbol ns = 0;
  LabelSet labels{};
  std::vector<Term*> terms{};  // that match
  absl::flat_hash_map<NodeIndex, Pods> pods{};
};
using LabelGroupPtr = std::shared_ptr<LabelGroup>;

class TermIndex {
 public:
  TermIndex() = default;
  TermIndex(const TermIndex&) = delete;
  TermIndex& operator=(const TermIndex&) = delete;

  TermPtr Intern(TermSpec spec);
  LabelGroupPtr Group(Symbol ns, LabelSet labels);

  // The number of a topology key.
  uint32_t Topology(Symbol key);
  // The node's domain, 0 when it lacks the label or is gone.
  Symbol ValueOn(uint32_t topology, NodeIndex node) const {
    const std::vector<Symbol>& values = topologies_[topology].value_of;
    return node < values.size() ? values[node] : 0;
  }
  size_t DomainsOf(uint32_t topology) const { return topologies_[topology].nodes_in.size(); }
  const absl::flat_hash_map<Symbol, int>& NodesIn(uint32_t topology) const {
    return topologies_[topology].nodes_in;
  }
  // Whether each domain is one node (as of kubernetes.io/hostname).
  bool IsNodeLocal(uint32_t topology) const { return topologies_[topology].shared == 0; }
  bool IsOnAllNodes(uint32_t topology) const { return topologies_[topology].nodes == node_count_; }
  Symbol KeyOf(uint32_t topology) const { return topologies_[topology].key; }

  // A node with labels comes or goes. REQUIRES: no pod counts on it.
  void AttachNode(NodeIndex node, const LabelSet& labels);
  void DetachNode(NodeIndex node);

  // Counts a pod of the group on a node `by` (+1, -1) times more.
  void Add(LabelGroup& group, NodeIndex node, bool terminating, int by);
  // A pod that bears the term is placed or goes.
  void AddBearer(const Term& term, NodeIndex node, int anti, int64_t weight, int by);

  void SetNamespace(Symbol ns, LabelSet labels);
  void RemoveNamespace(Symbol ns) { SetNamespace(ns, LabelSet()); }

  size_t term_count() const { return terms_.size(); }
  size_t group_count() const { return groups_.size(); }

 private:
  struct TopologyValues {
    Symbol key = 0;
    std::vector<Symbol> value_of;               // by node
    absl::flat_hash_map<Symbol, int> nodes_in;  // by value, none of 0
    int shared = 0;                             // values of more than one node
    int nodes = 0;                              // that have the label
  };

  void SetValue(TopologyValues& topology, NodeIndex node, Symbol value);
  bool MatchesGroup(const Term& term, const LabelGroup& group) const;
  void Link(Term& term, LabelGroup& group);    // and counts the group's pods
  void Unlink(Term& term, LabelGroup& group);  // and no longer
  void CountGroup(Term& term, const LabelGroup& group, int by);
  void Forget(Term* term);
  void Forget(LabelGroup* group);

  std::vector<TopologyValues> topologies_;
  std::vector<LabelSet> node_labels_;  // by node; for topology keys met later
  std::vector<bool> attached_;
  int node_count_ = 0;
  absl::flat_hash_map<std::string, std::weak_ptr<Term>> terms_;  // by encoded spec
  absl::flat_hash_map<std::pair<Symbol, LabelSet>, std::weak_ptr<LabelGroup>> groups_;
  absl::flat_hash_map<Symbol, LabelSet> namespaces_;
};

}  // namespace keel::orchestrator::sched
