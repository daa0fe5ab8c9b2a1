// Which pods could go so that a more important one fits (kube-scheduler's DefaultPreemption).
//
//   preemption.SetBudgets({...});
//   auto victims = preemption.Find(pod, rejected, &message);
//
// On each node (of a sample) all less important pods are thought away; if the pod fits then, as
// many as possible are kept, the most important and those that a PodDisruptionBudget protects
// first. Of the nodes the one is taken whose victims are the least loss. The cluster is changed and
// put back meanwhile. One thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/scheduler/evaluator.h"

namespace keel::orchestrator::sched {

struct Victims {
  NodeIndex node = kNoNode;
  std::vector<PodPtr> pods{};  // each less important than the pod
};

struct RejectedNode {
  NodeIndex node = kNoNode;
  Fit fit = Fit::kNo;
  int plugin = -1;
};

struct DisruptionBudget {
  Symbol ns = 0;
  LabelSelector selector{};
  int64_t allowed = 0;  // status.disruptionsAllowed
};

class Preemption {
 public:
  Preemption(Cluster& cluster, Evaluator& evaluator) : cluster_(cluster), evaluator_(evaluator) {}

  void SetBudgets(std::vector<DisruptionBudget> budgets) { budgets_ = std::move(budgets); }

  // Null with a message when nothing can be done. REQUIRES: Evaluator::Prepare of the pod.
  std::shared_ptr<const Victims> Find(const PodPtr& pod, const std::vector<RejectedNode>& rejected,
                                      uint32_t offset, std::string* message);

 private:
  struct Choice {
    std::shared_ptr<Victims> victims;
    int violations = 0;
    int highest = 0;
    int64_t sum = 0;
    int64_t started_s = 0;  // the earliest start of the most important victims

    bool BetterThan(const Choice& other) const;
  };
  // Null victims when the pod would still not fit.
  Choice TryNode(const PodPtr& pod, const NodeInfo& node);
  bool Fits(const PodPtr& pod, const NodeInfo& node);
  // Parts those whose budget would be exceeded from the others, keeping the order.
  void SplitByBudgets(std::vector<PodPtr>& pods, std::vector<PodPtr>& violating) const;

  Cluster& cluster_;
  Evaluator& evaluator_;
  std::vector<DisruptionBudget> budgets_;
};

}  // namespace keel::orchestrator::sched
