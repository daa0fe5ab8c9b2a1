// The scheduling cycle: the node for a pod, or why there is none. Pure: no I/O, no clock.
//
//   Core core(cluster, {.seed = 1});
//   const Decision d = core.Schedule(pod);
//   if (d.node != kNoNode) {
//     cluster.Place(pod, cluster.node(d.node).name);   // assumed until bound
//   } else {
//     d.error->Message();   // "0/5 nodes are available: 5 Insufficient cpu."
//   }
//
// How the work of a cycle stays flat as nodes grow:
//  - Nodes are tried from where the last cycle stopped until enough fit to choose from (5 to 50 %
//    of the nodes, at least 100: kube-scheduler's adaptive percentage).
//  - Pods of one class (pod_info.h) want the same. Where what is said of a node changes only with
//    that node (no topology wider than a node is asked for), the nodes that fitted stay in a heap
//    by score; the best is taken, and checked and scored again when its node has changed since.
//    After half as many pods as there were nodes the heap is made anew.
//  - A class that fitted nowhere is told so at once while nothing has made room.
// What is found always fits as of that moment, and "nowhere" is said only after all nodes were
// asked; only which of the fitting nodes is best is judged over a sample.
//
// One thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "orchestrator/scheduler/evaluator.h"
#include "orchestrator/scheduler/preemption.h"

namespace keel::orchestrator::sched {

// Why a pod fits nowhere.
struct FitError {
  size_t nodes = 0;
  std::string whole{};  // instead of reasons by node
  std::vector<std::pair<std::string, int>> reasons{};
  std::string preemption{};    // what came of trying that, "" when it found a node
  std::vector<int> plugins{};  // that rejected; indexes of the evaluator's

  std::string Message() const;  // in Kubernetes' words
};

struct Decision {
  NodeIndex node = kNoNode;
  std::shared_ptr<const FitError> error{};  // when there is no node
  // Without a node: what could be evicted to make room.
  std::shared_ptr<const Victims> victims{};
  size_t evaluated = 0;  // nodes asked in this cycle
};

struct CoreOptions {
  uint64_t seed = 1;        // of the choice between equals
  bool remember = true;     // what classes of pods were told; false: every cycle anew
  size_t sample_nodes = 0;  // that fit, to choose from; 0: adaptive
};

class Core {
 public:
  Core(Cluster& cluster, CoreOptions options);
  Core(Cluster& cluster, CoreOptions options, std::vector<std::unique_ptr<Plugin>> plugins);

  Decision Schedule(const PodPtr& pod);
  // Whether all filters let the pod on that node now.
  bool Fits(const PodPtr& pod, NodeIndex node);

  Preemption& preemption() { return preemption_; }
  const Evaluator& evaluator() const { return evaluator_; }

 private:
  struct Candidate {
    int64_t score = 0;
    uint32_t tie = 0;
    NodeIndex node = kNoNode;
    uint64_t generation = 0;
    friend bool operator<(const Candidate& a, const Candidate& b) {
      return a.score != b.score ? a.score < b.score : a.tie < b.tie;
    }
  };
  // What is remembered of a class.
  struct ClassState {
    std::weak_ptr<const PodClass> cls{};
    std::vector<Candidate> heap{};
    std::vector<ScoreRange> ranges{};
    size_t picks_left = 0;
    std::shared_ptr<const FitError> error{};
    uint64_t error_version = 0;
  };

  ClassState& StateOf(const PodClassPtr& cls);
  uint64_t ErrorVersion(const PodClass& cls) const;
  size_t NodesToFind(size_t nodes) const;
  NodeIndex TakeBest(ClassState& state, size_t& evaluated);
  // Fills nodes_ with nodes that fit, rejected_ with others.
  void Search(const Evaluator::Prepared& prepared, size_t& evaluated);
  NodeIndex Choose(const PodPtr& pod, ClassState* state);
  Decision Fail(const PodPtr& pod, const Evaluator::Prepared& prepared, size_t evaluated);
  uint32_t Random();

  Cluster& cluster_;
  const CoreOptions options_;
  Evaluator evaluator_;
  Preemption preemption_;
  absl::flat_hash_map<uint64_t, ClassState> classes_;
  size_t sweep_at_ = 1024;
  uint64_t random_;
  size_t next_start_ = 0;
  std::vector<NodeIndex> nodes_;
  std::vector<RejectedNode> rejected_;
  std::vector<int64_t> scores_;
  std::vector<ScoreRange> ranges_;
};

}  // namespace keel::orchestrator::sched
