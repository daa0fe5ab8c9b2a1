// TaintToleration: taints that the pod does not tolerate keep it off a node, or (PreferNoSchedule)
// count against the node.
#include "base/strings.h"
#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

class Impl final : public Plugin {
 public:
  explicit Impl(const Cluster& cluster) : cluster_(cluster) {}

  std::string_view name() const override { return "TaintToleration"; }
  PreFilterResult PreFilter(const PodInfo& pod) override {
    cls_ = pod.cls;
    return {};
  }
  Fit FilterNode(const NodeInfo& node) override {
    return UntoleratedTaint(*cls_, node) == nullptr ? Fit::kYes : Fit::kNever;
  }
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons) override {
    const Taint* taint = UntoleratedTaint(*cls_, node);
    const Symbols& symbols = cluster_.words().symbols;
    reasons.push_back(base::StrCat("node(s) had untolerated taint {", symbols.Text(taint->key),
                                   ": ", symbols.Text(taint->value), "}"));
  }

  int weight() const override { return 3; }
  PreScoreResult PreScore(const PodInfo& pod) override { return {}; }
  int64_t ScoreNode(const NodeInfo& node) override {
    int64_t count = 0;
    for (const Taint& taint : node.taints) {
      if (taint.effect == TaintEffect::kPreferNoSchedule && !Tolerated(cls_->tolerations, taint)) {
        ++count;
      }
    }
    return count;
  }
  int64_t Normalize(int64_t score, int64_t least, int64_t most) const override {
    return most == 0 ? kMaxScore : kMaxScore - score * kMaxScore / most;
  }

 private:
  const Cluster& cluster_;
  PodClassPtr cls_;
};

}  // namespace

const Taint* UntoleratedTaint(const PodClass& cls, const NodeInfo& node) {
  for (const Taint& taint : node.taints) {
    if (taint.effect != TaintEffect::kPreferNoSchedule && !Tolerated(cls.tolerations, taint)) {
      return &taint;
    }
  }
  return nullptr;
}

std::unique_ptr<Plugin> TaintToleration(const Cluster& cluster) {
  return std::make_unique<Impl>(cluster);
}

}  // namespace keel::orchestrator::sched
