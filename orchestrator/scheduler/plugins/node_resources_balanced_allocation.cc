// NodeResourcesBalancedAllocation: better where cpu and memory will be used in like proportion.
#include <algorithm>
#include <cmath>

#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

double Fraction(int64_t has, int64_t taken) {
  return std::min(1.0, static_cast<double>(taken) / static_cast<double>(has));
}

class Impl final : public Plugin {
 public:
  std::string_view name() const override { return "NodeResourcesBalancedAllocation"; }
  int weight() const override { return 1; }
  PreScoreResult PreScore(const PodInfo& pod) override {
    cls_ = pod.cls;
    return {.skip = cls_->requests.Get(kCpu) == 0 && cls_->requests.Get(kMemory) == 0};
  }
  int64_t ScoreNode(const NodeInfo& node) override {
    const int64_t cpu = node.allocatable.Get(kCpu), memory = node.allocatable.Get(kMemory);
    if (cpu == 0 || memory == 0) return kMaxScore;
    const double distance =
        std::fabs(Fraction(cpu, node.requested.Get(kCpu) + cls_->requests.Get(kCpu)) -
                  Fraction(memory, node.requested.Get(kMemory) + cls_->requests.Get(kMemory)));
    // The standard deviation of two numbers is half their distance.
    return static_cast<int64_t>((1 - distance / 2) * static_cast<double>(kMaxScore));
  }

 private:
  PodClassPtr cls_;
};

}  // namespace

std::unique_ptr<Plugin> NodeResourcesBalancedAllocation(const Cluster& cluster) {
  return std::make_unique<Impl>();
}

}  // namespace keel::orchestrator::sched
