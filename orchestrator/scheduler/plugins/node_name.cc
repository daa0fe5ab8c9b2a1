// NodeName: a pod that names its node fits nowhere else.
#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

class Impl final : public Plugin {
 public:
  std::string_view name() const override { return "NodeName"; }
  PreFilterResult PreFilter(const PodInfo& pod) override {
    wanted_ = pod.node;
    return {.skip = wanted_.empty()};
  }
  Fit FilterNode(const NodeInfo& node) override {
    return node.name == wanted_ ? Fit::kYes : Fit::kNever;
  }
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons) override {
    reasons.emplace_back("node(s) didn't match the requested node name");
  }

 private:
  std::string wanted_;
};

}  // namespace

std::unique_ptr<Plugin> NodeName(const Cluster& cluster) { return std::make_unique<Impl>(); }

}  // namespace keel::orchestrator::sched
