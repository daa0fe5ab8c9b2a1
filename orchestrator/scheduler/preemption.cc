#include "orchestrator/scheduler/preemption.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/strings/str_join.h"
#include "base/strings.h"

namespace keel::orchestrator::sched {
namespace {

// Nodes on which evictions are tried out: a tenth, at least a hundred (kube-scheduler's defaults).
size_t NodesToTry(size_t nodes) { return std::max<size_t>(nodes / 10, 100); }

// More important first; of equals the one that runs longer.
bool MoreImportant(const PodPtr& a, const PodPtr& b) {
  if (a->cls->priority != b->cls->priority) return a->cls->priority > b->cls->priority;
  return a->started_s < b->started_s;
}

}  // namespace

bool Preemption::Choice::BetterThan(const Choice& other) const {
  return std::tuple(violations, highest, sum, victims->pods.size(), -started_s) <
         std::tuple(other.violations, other.highest, other.sum, other.victims->pods.size(),
                    -other.started_s);
}

std::shared_ptr<const Victims> Preemption::Find(const PodPtr& pod,
                                                const std::vector<RejectedNode>& rejected,
                                                uint32_t offset, std::string* message) {
  const int priority = pod->cls->priority;
  if (pod->cls->never_preempts) {
    *message = "preemption: not eligible due to preemptionPolicy=Never.";
    return nullptr;
  }
  if (const NodeInfo* nominated = cluster_.FindNode(pod->nominated)) {
    for (const PodPtr& other : nominated->pods) {
      if (other->terminating && other->cls->priority < priority) {
        *message = "preemption: not eligible due to a terminating pod on the nominated node.";
        return nullptr;
      }
    }
  }
  std::map<std::string, int> reasons;
  std::vector<NodeIndex> nodes;
  for (const RejectedNode& r : rejected) {
    if (r.fit == Fit::kNo) nodes.push_back(r.node);
  }
  if (const size_t hopeless = cluster_.node_count() - nodes.size(); hopeless > 0) {
    reasons["Preemption is not helpful for scheduling"] = static_cast<int>(hopeless);
  }
  Choice best;
  if (!cluster_.HasPodBelow(priority)) {
    if (!nodes.empty()) {
      reasons["No preemption victims found for incoming pod"] = static_cast<int>(nodes.size());
    }
    nodes.clear();
  }
  const size_t enough = NodesToTry(cluster_.node_count());
  size_t found = 0;
  for (size_t i = 0; i < nodes.size() && found < enough; ++i) {
    const NodeInfo& node = cluster_.node(nodes[(i + offset) % nodes.size()]);
    Choice choice = TryNode(pod, node);
    if (!choice.victims) {
      ++reasons["No preemption victims found for incoming pod"];
      continue;
    }
    ++found;
    if (!best.victims || choice.BetterThan(best)) best = std::move(choice);
  }
  evaluator_.Prepare(pod);  // The cluster is as it was.
  if (best.victims) return best.victims;
  std::vector<std::string> texts;
  for (const auto& [reason, count] : reasons) texts.push_back(base::StrCat(count, " ", reason));
  std::sort(texts.begin(), texts.end());
  *message = base::StrCat("preemption: 0/", cluster_.node_count(),
                          " nodes are available: ", absl::StrJoin(texts, ", "), ".");
  return nullptr;
}

bool Preemption::Fits(const PodPtr& pod, const NodeInfo& node) {
  return evaluator_.Prepare(pod).reject.empty() && evaluator_.Check(node).fit == Fit::kYes;
}

Preemption::Choice Preemption::TryNode(const PodPtr& pod, const NodeInfo& node) {
  std::vector<PodPtr> lower;
  Resources left = node.requested;
  for (const PodPtr& other : node.pods) {
    if (other->cls->priority >= pod->cls->priority) continue;
    lower.push_back(other);
    left.Subtract(other->cls->requests);
  }
  if (lower.empty()) return {};
  for (size_t i = 0; i < pod->cls->requests.size(); ++i) {
    const int64_t wanted = pod->cls->requests.Get(i);
    if (wanted > 0 && wanted > node.allocatable.Get(i) - left.Get(i)) return {};
  }
  for (const PodPtr& other : lower) cluster_.TakeOff(other, node.index);
  if (!Fits(pod, node)) {
    for (const PodPtr& other : lower) cluster_.PutBack(other, node.index);
    return {};
  }
  std::sort(lower.begin(), lower.end(), MoreImportant);
  std::vector<PodPtr> violating;
  SplitByBudgets(lower, violating);
  Choice choice{.victims = std::make_shared<Victims>()};
  choice.victims->node = node.index;
  const auto keep_what_fits = [&](const std::vector<PodPtr>& pods, int* lost) {
    for (const PodPtr& other : pods) {
      cluster_.PutBack(other, node.index);
      if (Fits(pod, node)) continue;
      cluster_.TakeOff(other, node.index);
      choice.victims->pods.push_back(other);
      ++*lost;
    }
  };
  int unprotected = 0;
  keep_what_fits(violating, &choice.violations);
  keep_what_fits(lower, &unprotected);
  std::vector<PodPtr>& victims = choice.victims->pods;
  for (const PodPtr& victim : victims) cluster_.PutBack(victim, node.index);
  if (victims.empty()) return {};
  std::sort(victims.begin(), victims.end(), MoreImportant);
  choice.highest = victims.front()->cls->priority;
  choice.started_s = victims.front()->started_s;
  for (const PodPtr& victim : victims) {
    // Shifted, so that two unimportant ones are more of a loss than one.
    choice.sum += int64_t{victim->cls->priority} + (int64_t{1} << 31);
  }
  return choice;
}

void Preemption::SplitByBudgets(std::vector<PodPtr>& pods, std::vector<PodPtr>& violating) const {
  if (budgets_.empty()) return;
  std::vector<int64_t> allowed;
  for (const DisruptionBudget& budget : budgets_) allowed.push_back(budget.allowed);
  std::vector<PodPtr> others;
  for (const PodPtr& pod : pods) {
    bool violates = false;
    for (size_t i = 0; i < budgets_.size(); ++i) {
      const DisruptionBudget& budget = budgets_[i];
      if (budget.ns != pod->cls->ns || !budget.selector.Matches(pod->cls->group->labels)) continue;
      violates |= --allowed[i] < 0;
    }
    (violates ? violating : others).push_back(pod);
  }
  pods = std::move(others);
}

}  // namespace keel::orchestrator::sched
