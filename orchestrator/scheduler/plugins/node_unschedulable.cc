// NodeUnschedulable: cordoned nodes take only pods that tolerate that.
#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

class Impl final : public Plugin {
 public:
  explicit Impl(const Cluster& cluster)
      : taint_{.key = cluster.words().symbols.Of("node.kubernetes.io/unschedulable"),
               .value = cluster.words().symbols.Of(""),
               .effect = TaintEffect::kNoSchedule} {}

  std::string_view name() const override { return "NodeUnschedulable"; }
  PreFilterResult PreFilter(const PodInfo& pod) override {
    return {.skip = Tolerated(pod.cls->tolerations, taint_)};
  }
  Fit FilterNode(const NodeInfo& node) override {
    return node.unschedulable ? Fit::kNever : Fit::kYes;
  }
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons) override {
    reasons.emplace_back("node(s) were unschedulable");
  }

 private:
  const Taint taint_;
};

}  // namespace

std::unique_ptr<Plugin> NodeUnschedulable(const Cluster& cluster) {
  return std::make_unique<Impl>(cluster);
}

}  // namespace keel::orchestrator::sched
