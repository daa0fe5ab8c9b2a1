// InterPodAffinity: pods near to or away from other pods, within domains of a topology. What the
// pods that are there ask for holds against the new one too: required anti-affinity always, the
// rest in scores. All counts come from the TermIndex, so a node costs one look-up per term.
#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

class Impl final : public Plugin {
 public:
  explicit Impl(const Cluster& cluster) : terms_(cluster.terms()) {}

  std::string_view name() const override { return "InterPodAffinity"; }

  PreFilterResult PreFilter(const PodInfo& pod) override {
    cls_ = pod.cls;
    existing_anti_.clear();
    bool local = true;
    for (const Term* term : cls_->group->terms) {
      if (term->anti_bearers() == 0) continue;
      existing_anti_.push_back(term);
      local &= terms_.IsNodeLocal(term->spec().topology);
    }
    for (const TermPtr& term : cls_->anti_affinity) {
      local &= terms_.IsNodeLocal(term->spec().topology);
    }
    // The first pod of a group that wants to be together has nobody to be near to.
    first_of_group_ = cls_->affinity_matches_self &&
                      std::all_of(cls_->affinity.begin(), cls_->affinity.end(),
                                  [](const TermPtr& t) { return t->matching().total() == 0; });
    local &= cls_->affinity.empty();
    return {.skip = existing_anti_.empty() && cls_->anti_affinity.empty() && cls_->affinity.empty(),
            .local = local};
  }

  Fit FilterNode(const NodeInfo& node) override {
    switch (Check(node)) {
      case Verdict::kFits:
        return Fit::kYes;
      case Verdict::kAffinity:
        return Fit::kNever;
      case Verdict::kAnti:
      case Verdict::kExistingAnti:
        return Fit::kNo;
    }
    return Fit::kNo;
  }
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons) override {
    const Verdict verdict = Check(node);
    reasons.emplace_back(verdict == Verdict::kAffinity ? "node(s) didn't match pod affinity rules"
                         : verdict == Verdict::kAnti
                             ? "node(s) didn't match pod anti-affinity rules"
                             : "node(s) didn't satisfy existing pods anti-affinity rules");
  }
  bool RejectsByNodeAlone() const override { return false; }

  int weight() const override { return 2; }
  PreScoreResult PreScore(const PodInfo& pod) override {
    cls_ = pod.cls;
    weighing_.clear();
    bool local = true;
    for (const Term* term : cls_->group->terms) {
      if (!term->has_weights()) continue;
      weighing_.push_back(term);
      local &= terms_.IsNodeLocal(term->spec().topology);
    }
    for (const WeightedTerm& w : cls_->preferred) {
      local &= terms_.IsNodeLocal(w.term->spec().topology);
    }
    return {.skip = weighing_.empty() && cls_->preferred.empty(), .local = local};
  }
  int64_t ScoreNode(const NodeInfo& node) override {
    int64_t sum = 0;
    for (const WeightedTerm& w : cls_->preferred) {
      if (const Symbol domain = DomainOf(*w.term, node)) {
        sum += w.weight * w.term->matching().Get(domain);
      }
    }
    for (const Term* term : weighing_) {
      if (const Symbol domain = DomainOf(*term, node)) sum += term->BearersIn(domain).weight;
    }
    return sum;
  }
  int64_t Normalize(int64_t score, int64_t least, int64_t most) const override {
    return most == least ? 0 : (score - least) * kMaxScore / (most - least);
  }

 private:
  enum class Verdict : uint8_t { kFits, kAffinity, kAnti, kExistingAnti };

  Symbol DomainOf(const Term& term, const NodeInfo& node) const {
    return terms_.ValueOn(term.spec().topology, node.index);
  }

  Verdict Check(const NodeInfo& node) const {
    bool near = true;
    for (const TermPtr& term : cls_->affinity) {
      const Symbol domain = DomainOf(*term, node);
      if (domain == 0) return Verdict::kAffinity;
      near &= term->matching().Get(domain) > 0;
    }
    if (!near && !first_of_group_) return Verdict::kAffinity;
    for (const TermPtr& term : cls_->anti_affinity) {
      const Symbol domain = DomainOf(*term, node);
      if (domain != 0 && term->matching().Get(domain) > 0) return Verdict::kAnti;
    }
    for (const Term* term : existing_anti_) {
      const Symbol domain = DomainOf(*term, node);
      if (domain != 0 && term->BearersIn(domain).anti > 0) return Verdict::kExistingAnti;
    }
    return Verdict::kFits;
  }

  const TermIndex& terms_;
  PodClassPtr cls_;
  bool first_of_group_ = false;
  std::vector<const Term*> existing_anti_;  // that match the pod and are borne by some pod
  std::vector<const Term*> weighing_;       // the same, with weights
};

}  // namespace

std::unique_ptr<Plugin> InterPodAffinity(const Cluster& cluster) {
  return std::make_unique<Impl>(cluster);
}

}  // namespace keel::orchestrator::sched
