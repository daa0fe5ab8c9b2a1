// NodeAffinity: spec.nodeSelector and node affinity, required and preferred.
#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

class Impl final : public Plugin {
 public:
  explicit Impl(const Cluster& cluster) : symbols_(cluster.words().symbols) {}

  std::string_view name() const override { return "NodeAffinity"; }
  PreFilterResult PreFilter(const PodInfo& pod) override {
    cls_ = pod.cls;
    if (cls_->node_selector.empty() && !cls_->required_nodes) return {.skip = true};
    PreFilterResult out;
    out.only_some = NamedNodes(out.only);
    return out;
  }
  Fit FilterNode(const NodeInfo& node) override {
    return MatchesNodeAffinity(*cls_, node, symbols_) ? Fit::kYes : Fit::kNever;
  }
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons) override {
    reasons.emplace_back("node(s) didn't match Pod's node affinity/selector");
  }

  int weight() const override { return 2; }
  PreScoreResult PreScore(const PodInfo& pod) override {
    cls_ = pod.cls;
    return {.skip = cls_->preferred_nodes.empty()};
  }
  int64_t ScoreNode(const NodeInfo& node) override {
    int64_t sum = 0;
    for (const PodClass::PreferredNodes& preferred : cls_->preferred_nodes) {
      if (preferred.term.Matches(node.labels, node.name_symbol, symbols_)) sum += preferred.weight;
    }
    return sum;
  }
  int64_t Normalize(int64_t score, int64_t least, int64_t most) const override {
    return most == 0 ? 0 : score * kMaxScore / most;
  }

 private:
  // The nodes that the terms of required affinity name, if each term names some (as the pods of
  // daemon sets do).
  bool NamedNodes(std::vector<Symbol>& nodes) const {
    if (!cls_->required_nodes || cls_->required_nodes->any.empty()) return false;
    for (const NodeTerm& term : cls_->required_nodes->any) {
      auto named = std::find_if(term.names.begin(), term.names.end(),
                                [](const Requirement& r) { return r.op == Requirement::Op::kIn; });
      if (named == term.names.end()) return false;
      nodes.insert(nodes.end(), named->values.begin(), named->values.end());
    }
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    return true;
  }

  const Symbols& symbols_;
  PodClassPtr cls_;
};

}  // namespace

bool MatchesNodeAffinity(const PodClass& cls, const NodeInfo& node, const Symbols& symbols) {
  for (const auto& [key, value] : cls.node_selector) {
    if (node.labels.Get(key) != value) return false;
  }
  return !cls.required_nodes || cls.required_nodes->Matches(node.labels, node.name_symbol, symbols);
}

std::unique_ptr<Plugin> NodeAffinity(const Cluster& cluster) {
  return std::make_unique<Impl>(cluster);
}

}  // namespace keel::orchestrator::sched
