// NodePorts: a host port is one pod's on each node.
#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

class Impl final : public Plugin {
 public:
  std::string_view name() const override { return "NodePorts"; }
  PreFilterResult PreFilter(const PodInfo& pod) override {
    cls_ = pod.cls;
    return {.skip = cls_->host_ports.empty()};
  }
  Fit FilterNode(const NodeInfo& node) override {
    for (const HostPort& used : node.used_ports) {
      for (const HostPort& wanted : cls_->host_ports) {
        if (used.Conflicts(wanted)) return Fit::kNo;
      }
    }
    return Fit::kYes;
  }
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons) override {
    reasons.emplace_back("node(s) didn't have free ports for the requested pod ports");
  }

 private:
  PodClassPtr cls_;
};

}  // namespace

std::unique_ptr<Plugin> NodePorts(const Cluster& cluster) { return std::make_unique<Impl>(); }

}  // namespace keel::orchestrator::sched
