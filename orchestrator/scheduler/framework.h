// The seam between the scheduling cycle and its plugins: each looks at one reason for or against a
// node, and knows no other.
//
//   class NodeName final : public Plugin {
//     std::string_view name() const override { return "NodeName"; }
//     PreFilterResult PreFilter(const PodInfo& pod) override { ...; return {.skip = wants none}; }
//     Fit FilterNode(const NodeInfo& node) override { return node.name == wanted_ ? kYes : kNever;
//     }
//     ...
//   };
//
// A cycle calls PreFilter once, FilterNode for nodes, then PreScore once, ScoreNode for nodes that
// fit. Between PreFilter and the last FilterNode the pods in the cluster may change only together
// with another PreFilter. One thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/scheduler/cluster.h"

namespace keel::orchestrator::sched {

enum class Fit : uint8_t {
  kYes,
  kNo,     // as long as the pods are where they are
  kNever,  // whatever pods go
};

struct PreFilterResult {
  bool skip = false;  // FilterNode would say kYes to every node
  // What it says of a node changes only with that node's generation.
  bool local = true;
  std::string reject{};  // no node fits, and why
  // With only_some: the names of the only nodes that can fit.
  bool only_some = false;
  std::vector<Symbol> only{};
};

struct PreScoreResult {
  bool skip = false;  // every node would have the same
  bool local = true;  // as above
};

inline constexpr int64_t kMaxScore = 100;

class Plugin {
 public:
  virtual ~Plugin() = default;
  virtual std::string_view name() const = 0;

  virtual PreFilterResult PreFilter(const PodInfo& pod) { return {.skip = true}; }
  virtual Fit FilterNode(const NodeInfo& node) { return Fit::kYes; }
  // Why it does not fit, in Kubernetes' words. REQUIRES: FilterNode(node) is not kYes.
  virtual void Explain(const NodeInfo& node, std::vector<std::string>& reasons) {}

  virtual int weight() const { return 0; }  // 0: scores nothing
  virtual PreScoreResult PreScore(const PodInfo& pod) { return {.skip = true}; }
  virtual int64_t ScoreNode(const NodeInfo& node) { return 0; }
  // From a score and the smallest and largest of the nodes that fit to 0..kMaxScore.
  virtual int64_t Normalize(int64_t score, int64_t least, int64_t most) const { return score; }

  // Whether an event that makes room on a node can only matter through that node itself. Else a
  // pod that this plugin turned down is tried again after any event.
  virtual bool RejectsByNodeAlone() const { return true; }
};

// All plugins, in the order in which filters are asked.
std::vector<std::unique_ptr<Plugin>> DefaultPlugins(const Cluster& cluster);

}  // namespace keel::orchestrator::sched
