// PodTopologySpread: the pods that a constraint selects differ between domains by at most maxSkew.
//
// Which domains count: those of nodes that have all the topology keys of the constraints and that
// the pod could use by node affinity (and taints, where the constraint says so). When that is every
// node, the TermIndex has the counts and their minimum; else they are counted over the nodes, once
// a cycle.
#include <cmath>

#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

class Impl final : public Plugin {
 public:
  explicit Impl(const Cluster& cluster) : cluster_(cluster), terms_(cluster.terms()) {}

  std::string_view name() const override { return "PodTopologySpread"; }

  PreFilterResult PreFilter(const PodInfo& pod) override {
    Prepare(pod, /*hard=*/true, hard_);
    return {.skip = hard_.empty(), .local = false};
  }
  Fit FilterNode(const NodeInfo& node) override {
    for (const Active& a : hard_) {
      const Symbol domain = terms_.ValueOn(a.constraint->term->spec().topology, node.index);
      if (domain == 0) return Fit::kNever;
      if (Skew(a, domain) > a.constraint->max_skew) return Fit::kNo;
    }
    return Fit::kYes;
  }
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons) override {
    for (const Active& a : hard_) {
      const Symbol domain = terms_.ValueOn(a.constraint->term->spec().topology, node.index);
      if (domain == 0) {
        reasons.emplace_back(
            "node(s) didn't match pod topology spread constraints (missing required label)");
        return;
      }
      if (Skew(a, domain) > a.constraint->max_skew) break;
    }
    reasons.emplace_back("node(s) didn't match pod topology spread constraints");
  }
  bool RejectsByNodeAlone() const override { return false; }

  int weight() const override { return 2; }
  PreScoreResult PreScore(const PodInfo& pod) override {
    Prepare(pod, /*hard=*/false, soft_);
    return {.skip = soft_.empty(), .local = false};
  }
  // Fewer pods of the same in the node's domains is better; keys with few domains weigh less.
  int64_t ScoreNode(const NodeInfo& node) override {
    double sum = 0;
    for (const Active& a : soft_) {
      const Symbol domain = terms_.ValueOn(a.constraint->term->spec().topology, node.index);
      if (domain == 0) return kLacksKey;
      sum += CountIn(a, domain) * a.weight + (a.constraint->max_skew - 1);
    }
    return static_cast<int64_t>(std::llround(sum));
  }
  int64_t Normalize(int64_t score, int64_t least, int64_t most) const override {
    if (score == kLacksKey) return 0;
    if (most == 0) return kMaxScore;
    return kMaxScore * (most + std::max<int64_t>(least, 0) - score) / most;
  }

 private:
  static constexpr int64_t kLacksKey = -1;

  struct Active {
    const SpreadConstraint* constraint;
    bool counted = false;  // `counts` holds, not the index
    absl::flat_hash_map<Symbol, int> counts{};
    int least = 0;
    double weight = 1;
  };

  void Prepare(const PodInfo& pod, bool hard, std::vector<Active>& active) {
    cls_ = pod.cls;
    active.clear();
    for (const SpreadConstraint& c : cls_->spread) {
      if (c.hard == hard) active.push_back({.constraint = &c});
    }
    bool everywhere = true;
    for (const Active& a : active) {
      everywhere &= terms_.IsOnAllNodes(a.constraint->term->spec().topology);
    }
    const bool picks_nodes = !cls_->node_selector.empty() || cls_->required_nodes.has_value();
    for (Active& a : active) {
      const SpreadConstraint& c = *a.constraint;
      a.counted = !everywhere || c.honor_taints || (c.honor_affinity && picks_nodes);
      size_t domains = terms_.DomainsOf(c.term->spec().topology);
      if (a.counted) {
        CountOverNodes(active, a);
        domains = a.counts.size();
        a.least =
            domains == 0
                ? 0
                : std::min_element(a.counts.begin(), a.counts.end(),
                                   [](const auto& x, const auto& y) { return x.second < y.second; })
                      ->second;
      } else {
        a.least = c.term->matching().Min(domains);
      }
      if (static_cast<int64_t>(domains) < c.min_domains) a.least = 0;
      a.weight = std::log(static_cast<double>(domains) + 2);
    }
  }

  void CountOverNodes(const std::vector<Active>& active, Active& a) {
    const SpreadConstraint& c = *a.constraint;
    const uint32_t topology = c.term->spec().topology;
    for (NodeIndex index : cluster_.order()) {
      const NodeInfo& node = cluster_.node(index);
      if (!Eligible(active, c, node)) continue;
      int& count = a.counts[terms_.ValueOn(topology, index)];
      for (const LabelGroup* group : c.term->groups()) {
        auto pods = group->pods.find(index);
        if (pods != group->pods.end()) count += pods->second.live;
      }
    }
  }
  bool Eligible(const std::vector<Active>& active, const SpreadConstraint& c,
                const NodeInfo& node) const {
    for (const Active& other : active) {
      if (terms_.ValueOn(other.constraint->term->spec().topology, node.index) == 0) return false;
    }
    return (!c.honor_affinity || MatchesNodeAffinity(*cls_, node, cluster_.words().symbols)) &&
           (!c.honor_taints || UntoleratedTaint(*cls_, node) == nullptr);
  }

  static int CountIn(const Active& a, Symbol domain) {
    if (!a.counted) return a.constraint->term->matching().Get(domain);
    auto found = a.counts.find(domain);
    return found == a.counts.end() ? 0 : found->second;
  }
  static int Skew(const Active& a, Symbol domain) {
    return CountIn(a, domain) + (a.constraint->matches_self ? 1 : 0) - a.least;
  }

  const Cluster& cluster_;
  const TermIndex& terms_;
  PodClassPtr cls_;
  std::vector<Active> hard_, soft_;  // of filter and score
};

}  // namespace

std::unique_ptr<Plugin> PodTopologySpread(const Cluster& cluster) {
  return std::make_unique<Impl>(cluster);
}

}  // namespace keel::orchestrator::sched
