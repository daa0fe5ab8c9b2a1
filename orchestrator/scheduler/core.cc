#include "orchestrator/scheduler/core.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/strings.h"

namespace keel::orchestrator::sched {

std::string FitError::Message() const {
  if (nodes == 0) return "no nodes available to schedule pods";
  std::string out = base::StrCat("0/", nodes, " nodes are available");
  if (!whole.empty()) {
    absl::StrAppend(&out, ": ", whole, ".");
  } else if (!reasons.empty()) {
    std::vector<std::string> texts;
    for (const auto& [reason, count] : reasons) texts.push_back(base::StrCat(count, " ", reason));
    std::sort(texts.begin(), texts.end());
    absl::StrAppend(&out, ": ", absl::StrJoin(texts, ", "), ".");
  }
  if (!preemption.empty()) absl::StrAppend(&out, " ", preemption);
  return out;
}

Core::Core(Cluster& cluster, CoreOptions options)
    : Core(cluster, options, DefaultPlugins(cluster)) {}

Core::Core(Cluster& cluster, CoreOptions options, std::vector<std::unique_ptr<Plugin>> plugins)
    : cluster_(cluster),
      options_(options),
      evaluator_(cluster, std::move(plugins)),
      preemption_(cluster, evaluator_),
      random_(options.seed * 0x9E3779B97F4A7C15u + 1) {}

uint32_t Core::Random() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<uint32_t>(random_ >> 32);
}

Core::ClassState& Core::StateOf(const PodClassPtr& cls) {
  if (classes_.size() >= sweep_at_) {
    absl::erase_if(classes_, [](const auto& entry) { return entry.second.cls.expired(); });
    sweep_at_ = std::max<size_t>(1024, 2 * classes_.size());
  }
  ClassState& state = classes_[cls->id];
  if (state.cls.expired()) state.cls = cls;
  return state;
}

// What a pod of the class was told holds until this changes: for most, until something makes room;
// affinity, spread and volumes may also be satisfied by what takes room.
uint64_t Core::ErrorVersion(const PodClass& cls) const {
  const bool by_room = cls.affinity.empty() && cls.spread.empty() && cls.claims.empty();
  return by_room ? cluster_.room_version() : cluster_.version();
}

// kube-scheduler's numFeasibleNodesToFind.
size_t Core::NodesToFind(size_t nodes) const {
  if (options_.sample_nodes > 0) return options_.sample_nodes;
  if (nodes <= 100) return nodes;
  const size_t percent = nodes / 125 >= 45 ? 5 : 50 - nodes / 125;
  return std::max<size_t>(100, nodes * percent / 100);
}

Decision Core::Schedule(const PodPtr& pod) {
  Decision out;
  if (cluster_.node_count() == 0) {
    out.error = std::make_shared<FitError>();
    return out;
  }
  ClassState* state = options_.remember && pod->nominated.empty() ? &StateOf(pod->cls) : nullptr;
  if (state != nullptr && state->error && state->error_version == ErrorVersion(*pod->cls)) {
    out.error = state->error;
    return out;
  }
  const Evaluator::Prepared prepared = evaluator_.Prepare(pod);
  if (!prepared.reject.empty()) {
    rejected_.clear();
    return Fail(pod, prepared, 0);
  }
  const bool local = evaluator_.PrepareScores(*pod) && prepared.local;
  if (const NodeInfo* nominated = cluster_.FindNode(pod->nominated)) {
    ++out.evaluated;
    if (evaluator_.Check(*nominated).fit == Fit::kYes) {
      out.node = nominated->index;
      return out;
    }
  }
  if (!local) {
    if (state != nullptr) state->heap.clear();
    state = nullptr;
  }
  if (state != nullptr && state->picks_left > 0) {
    --state->picks_left;
    out.node = TakeBest(*state, out.evaluated);
    if (out.node != kNoNode) return out;
  }
  Search(prepared, out.evaluated);
  if (nodes_.empty()) return Fail(pod, prepared, out.evaluated);
  out.node = Choose(pod, state);
  return out;
}

bool Core::Fits(const PodPtr& pod, NodeIndex node) {
  return evaluator_.Prepare(pod).reject.empty() &&
         evaluator_.Check(cluster_.node(node)).fit == Fit::kYes;
}

NodeIndex Core::TakeBest(ClassState& state, size_t& evaluated) {
  std::vector<Candidate>& heap = state.heap;
  while (!heap.empty()) {
    const Candidate best = heap.front();
    const bool present = cluster_.IsPresent(best.node);
    if (present && cluster_.node(best.node).generation == best.generation) return best.node;
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    if (!present) continue;
    ++evaluated;
    const NodeInfo& node = cluster_.node(best.node);
    if (evaluator_.Check(node).fit != Fit::kYes) continue;
    heap.push_back({.score = evaluator_.ScoreOne(node, state.ranges),
                    .tie = Random(),
                    .node = best.node,
                    .generation = node.generation});
    std::push_heap(heap.begin(), heap.end());
  }
  return kNoNode;
}

void Core::Search(const Evaluator::Prepared& prepared, size_t& evaluated) {
  nodes_.clear();
  rejected_.clear();
  const auto ask = [&](NodeIndex index) {
    const Evaluator::Verdict verdict = evaluator_.Check(cluster_.node(index));
    ++evaluated;
    if (verdict.fit == Fit::kYes) {
      nodes_.push_back(index);
    } else {
      rejected_.push_back({index, verdict.fit, verdict.plugin});
    }
  };
  if (prepared.only_some) {
    for (Symbol name : prepared.only) {
      if (const NodeInfo* node = cluster_.FindNode(cluster_.words().symbols.Text(name))) {
        ask(node->index);
      }
    }
    return;
  }
  const std::vector<NodeIndex>& order = cluster_.order();
  const size_t wanted = NodesToFind(order.size());
  size_t at = next_start_ < order.size() ? next_start_ : 0;
  for (size_t tried = 0; tried < order.size() && nodes_.size() < wanted; ++tried) {
    ask(order[at]);
    if (++at == order.size()) at = 0;
  }
  next_start_ = at;
}

NodeIndex Core::Choose(const PodPtr& pod, ClassState* state) {
  if (nodes_.size() == 1 && state == nullptr) return nodes_.front();
  evaluator_.Score(nodes_, scores_, ranges_);
  Candidate best;
  best.score = INT64_MIN;
  if (state != nullptr) {
    state->heap.clear();
    state->ranges = ranges_;
    state->picks_left = nodes_.size() / 2;
  }
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Candidate candidate{.score = scores_[i],
                              .tie = Random(),
                              .node = nodes_[i],
                              .generation = cluster_.node(nodes_[i]).generation};
    if (best < candidate) best = candidate;
    if (state != nullptr) state->heap.push_back(candidate);
  }
  if (state != nullptr) std::make_heap(state->heap.begin(), state->heap.end());
  return best.node;
}

Decision Core::Fail(const PodPtr& pod, const Evaluator::Prepared& prepared, size_t evaluated) {
  auto error = std::make_shared<FitError>();
  error->nodes = cluster_.node_count();
  error->whole = prepared.reject;
  if (prepared.plugin >= 0) error->plugins.push_back(prepared.plugin);
  std::map<std::string, int> counts;
  std::vector<std::string> reasons;
  for (const RejectedNode& r : rejected_) {
    reasons.clear();
    evaluator_.Explain(cluster_.node(r.node), reasons);
    for (std::string& reason : reasons) ++counts[std::move(reason)];
    if (std::find(error->plugins.begin(), error->plugins.end(), r.plugin) == error->plugins.end()) {
      error->plugins.push_back(r.plugin);
    }
  }
  if (prepared.only_some && rejected_.size() < error->nodes) {
    counts[base::StrCat("node(s) didn't satisfy plugin(s) [",
                        evaluator_.plugin(prepared.only_plugin).name(), "]")] =
        static_cast<int>(error->nodes - rejected_.size());
    error->plugins.push_back(prepared.only_plugin);
  }
  error->reasons.assign(counts.begin(), counts.end());
  Decision out{.evaluated = evaluated};
  out.victims = preemption_.Find(pod, rejected_, Random(), &error->preemption);
  if (out.victims == nullptr && options_.remember && pod->nominated.empty()) {
    ClassState& state = StateOf(pod->cls);
    state.error = error;
    state.error_version = ErrorVersion(*pod->cls);
  }
  out.error = std::move(error);
  return out;
}

}  // namespace keel::orchestrator::sched
