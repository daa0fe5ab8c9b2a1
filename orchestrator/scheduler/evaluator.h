// Asks all plugins about one pod.
//
//   Evaluator evaluator(cluster, DefaultPlugins(cluster));
//   const Prepared prepared = evaluator.Prepare(pod);      // of each pod, first
//   if (prepared.reject.empty() && evaluator.Check(node).fit == Fit::kYes) ...
//   evaluator.PrepareScores(pod);
//   evaluator.Score(nodes, scores, ranges);
//
// Pods that are nominated to a node and at least as important count as running there, and the pod
// must fit without them too. One thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/scheduler/framework.h"

namespace keel::orchestrator::sched {

// The least and most score a plugin gave.
struct ScoreRange {
  int64_t least = 0, most = 0;
};

class Evaluator {
 public:
  Evaluator(Cluster& cluster, std::vector<std::unique_ptr<Plugin>> plugins)
      : cluster_(cluster), plugins_(std::move(plugins)) {}

  struct Prepared {
    bool local = true;     // all that is said of a node changes only with its generation
    std::string reject{};  // no node fits, and why
    int plugin = -1;       // that rejects
    bool only_some = false;
    std::vector<Symbol> only{};  // names of nodes, and the plugin that wants no other
    int only_plugin = -1;
  };
  Prepared Prepare(const PodPtr& pod);

  struct Verdict {
    Fit fit = Fit::kYes;
    int plugin = -1;  // that rejects
  };
  // REQUIRES: Prepare of the pod came before.
  Verdict Check(const NodeInfo& node) {
    return node.nominated.empty() ? Ask(node) : CheckWithNominated(node);
  }
  // Adds the reasons. REQUIRES: Check(node) says no.
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons);

  // Whether scores are local (framework.h).
  bool PrepareScores(const PodInfo& pod);
  // The sums of weighted scores of the nodes, and (by plugin that scores) their ranges.
  void Score(const std::vector<NodeIndex>& nodes, std::vector<int64_t>& sums,
             std::vector<ScoreRange>& ranges);
  // Of one more node within ranges that Score gave.
  int64_t ScoreOne(const NodeInfo& node, const std::vector<ScoreRange>& ranges);

  const Plugin& plugin(int index) const { return *plugins_[static_cast<size_t>(index)]; }
  size_t plugin_count() const { return plugins_.size(); }

 private:
  Verdict Ask(const NodeInfo& node) {
    for (int i : filters_) {
      const Fit fit = plugins_[static_cast<size_t>(i)]->FilterNode(node);
      if (fit != Fit::kYes) return {fit, i};
    }
    return {};
  }
  Verdict CheckWithNominated(const NodeInfo& node);
  // The nominated pods of the node that count for the pod.
  std::vector<PodPtr> NominatedFor(const NodeInfo& node) const;
  void PrepareFilters();

  Cluster& cluster_;
  const std::vector<std::unique_ptr<Plugin>> plugins_;
  PodPtr pod_;
  std::vector<int> filters_;  // that do not skip the pod
  std::vector<int> scorers_;
  std::vector<int64_t> scratch_;
};

}  // namespace keel::orchestrator::sched
