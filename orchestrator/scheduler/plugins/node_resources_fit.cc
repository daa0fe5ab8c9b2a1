// NodeResourcesFit: what the pods of a node ask for is never more than it has to give; scores by
// how much is left (or taken, to pack nodes).
#include "base/strings.h"
#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

class Impl final : public Plugin {
 public:
  Impl(const Cluster& cluster, ScoringStrategy strategy)
      : words_(cluster.words()), strategy_(strategy) {}

  std::string_view name() const override { return "NodeResourcesFit"; }
  PreFilterResult PreFilter(const PodInfo& pod) override {
    cls_ = pod.cls;
    return {};
  }
  Fit FilterNode(const NodeInfo& node) override {
    Fit fit = static_cast<int64_t>(node.pods.size()) >= node.max_pods ? Fit::kNo : Fit::kYes;
    for (size_t i = 0; i < cls_->requests.size(); ++i) {
      const int64_t wanted = cls_->requests.Get(i);
      if (wanted == 0 || wanted <= node.allocatable.Get(i) - node.requested.Get(i)) continue;
      if (wanted > node.allocatable.Get(i)) return Fit::kNever;
      fit = Fit::kNo;
    }
    return fit;
  }
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons) override {
    if (static_cast<int64_t>(node.pods.size()) >= node.max_pods) {
      reasons.emplace_back("Too many pods");
    }
    for (size_t i = 0; i < cls_->requests.size(); ++i) {
      const int64_t wanted = cls_->requests.Get(i);
      if (wanted == 0 || wanted <= node.allocatable.Get(i) - node.requested.Get(i)) continue;
      reasons.push_back(base::StrCat("Insufficient ", words_.ResourceName(i)));
    }
  }

  int weight() const override { return 1; }
  PreScoreResult PreScore(const PodInfo& pod) override {
    cls_ = pod.cls;
    return {};
  }
  int64_t ScoreNode(const NodeInfo& node) override {
    return (Part(node.allocatable.Get(kCpu), node.score_cpu + cls_->score_cpu) +
            Part(node.allocatable.Get(kMemory), node.score_memory + cls_->score_memory)) /
           2;
  }

 private:
  int64_t Part(int64_t has, int64_t taken) const {
    if (strategy_ == ScoringStrategy::kMostAllocated) {
      if (has == 0) return 0;
      return std::min(taken, has) * kMaxScore / has;
    }
    if (has == 0 || taken > has) return 0;
    return (has - taken) * kMaxScore / has;
  }

  const Vocabulary& words_;
  const ScoringStrategy strategy_;
  PodClassPtr cls_;
};

}  // namespace

std::unique_ptr<Plugin> NodeResourcesFit(const Cluster& cluster, ScoringStrategy strategy) {
  return std::make_unique<Impl>(cluster, strategy);
}

}  // namespace keel::orchestrator::sched
