#include "orchestrator/scheduler/evaluator.h"

#include <algorithm>

#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {

std::vector<std::unique_ptr<Plugin>> DefaultPlugins(const Cluster& cluster) {
  std::vector<std::unique_ptr<Plugin>> out;
  out.push_back(NodeUnschedulable(cluster));
  out.push_back(NodeName(cluster));
  out.push_back(TaintToleration(cluster));
  out.push_back(NodeAffinity(cluster));
  out.push_back(NodePorts(cluster));
  out.push_back(NodeResourcesFit(cluster, ScoringStrategy::kLeastAllocated));
  out.push_back(VolumeBinding(cluster));
  out.push_back(PodTopologySpread(cluster));
  out.push_back(InterPodAffinity(cluster));
  out.push_back(NodeResourcesBalancedAllocation(cluster));
  out.push_back(ImageLocality(cluster));
  return out;
}

Evaluator::Prepared Evaluator::Prepare(const PodPtr& pod) {
  pod_ = pod;
  filters_.clear();
  Prepared out;
  for (size_t i = 0; i < plugins_.size(); ++i) {
    const int index = static_cast<int>(i);
    PreFilterResult result = plugins_[i]->PreFilter(*pod);
    if (!result.reject.empty()) {
      out.reject = std::move(result.reject);
      out.plugin = index;
      return out;
    }
    if (result.skip) continue;
    filters_.push_back(index);
    out.local &= result.local;
    if (result.only_some) {
      out.only_some = true;
      out.only = std::move(result.only);
      out.only_plugin = index;
    }
  }
  return out;
}

void Evaluator::PrepareFilters() {
  filters_.clear();
  for (size_t i = 0; i < plugins_.size(); ++i) {
    if (!plugins_[i]->PreFilter(*pod_).skip) filters_.push_back(static_cast<int>(i));
  }
}

std::vector<PodPtr> Evaluator::NominatedFor(const NodeInfo& node) const {
  std::vector<PodPtr> out;
  for (const PodPtr& pod : node.nominated) {
    if (pod->cls->priority >= pod_->cls->priority && pod->uid != pod_->uid) out.push_back(pod);
  }
  return out;
}

Evaluator::Verdict Evaluator::CheckWithNominated(const NodeInfo& node) {
  const std::vector<PodPtr> others = NominatedFor(node);
  if (!others.empty()) {
    for (const PodPtr& pod : others) cluster_.PutBack(pod, node.index);
    PrepareFilters();
    const Verdict verdict = Ask(node);
    for (const PodPtr& pod : others) cluster_.TakeOff(pod, node.index);
    PrepareFilters();
    if (verdict.fit != Fit::kYes) return verdict;
  }
  return Ask(node);
}

void Evaluator::Explain(const NodeInfo& node, std::vector<std::string>& reasons) {
  const auto explain = [&] {
    const Verdict verdict = Ask(node);
    if (verdict.fit == Fit::kYes) return false;
    plugins_[static_cast<size_t>(verdict.plugin)]->Explain(node, reasons);
    return true;
  };
  const std::vector<PodPtr> others = NominatedFor(node);
  if (others.empty()) {
    explain();
    return;
  }
  for (const PodPtr& pod : others) cluster_.PutBack(pod, node.index);
  PrepareFilters();
  const bool explained = explain();
  for (const PodPtr& pod : others) cluster_.TakeOff(pod, node.index);
  PrepareFilters();
  if (!explained) explain();
}

bool Evaluator::PrepareScores(const PodInfo& pod) {
  scorers_.clear();
  bool local = true;
  for (size_t i = 0; i < plugins_.size(); ++i) {
    if (plugins_[i]->weight() == 0) continue;
    const PreScoreResult result = plugins_[i]->PreScore(pod);
    if (result.skip) continue;
    scorers_.push_back(static_cast<int>(i));
    local &= result.local;
  }
  return local;
}

void Evaluator::Score(const std::vector<NodeIndex>& nodes, std::vector<int64_t>& sums,
                      std::vector<ScoreRange>& ranges) {
  sums.assign(nodes.size(), 0);
  ranges.clear();
  for (int i : scorers_) {
    Plugin& plugin = *plugins_[static_cast<size_t>(i)];
    scratch_.clear();
    for (NodeIndex node : nodes) scratch_.push_back(plugin.ScoreNode(cluster_.node(node)));
    const auto [least, most] = std::minmax_element(scratch_.begin(), scratch_.end());
    const ScoreRange range{*least, *most};
    ranges.push_back(range);
    const int64_t weight = plugin.weight();
    for (size_t n = 0; n < nodes.size(); ++n) {
      sums[n] += weight * plugin.Normalize(scratch_[n], range.least, range.most);
    }
  }
}

int64_t Evaluator::ScoreOne(const NodeInfo& node, const std::vector<ScoreRange>& ranges) {
  int64_t sum = 0;
  for (size_t i = 0; i < scorers_.size() && i < ranges.size(); ++i) {
    Plugin& plugin = *plugins_[static_cast<size_t>(scorers_[i])];
    // Its score may have left the range of those it was compared with.
    sum += plugin.weight() * std::clamp<int64_t>(plugin.Normalize(plugin.ScoreNode(node),
                                                                  ranges[i].least, ranges[i].most),
                                                 0, kMaxScore);
  }
  return sum;
}

}  // namespace keel::orchestrator::sched
