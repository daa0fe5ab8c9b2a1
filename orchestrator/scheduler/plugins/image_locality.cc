// ImageLocality: better where more of the pod's images are already, weighed by how many nodes have
// them, so that an image that is on one node alone does not draw all pods there.
#include <algorithm>

#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

constexpr int64_t kLeastBytes = 23 * 1024 * 1024;
constexpr int64_t kMostBytesPerContainer = 1000 * 1024 * 1024;

class Impl final : public Plugin {
 public:
  explicit Impl(const Cluster& cluster) : cluster_(cluster) {}

  std::string_view name() const override { return "ImageLocality"; }
  int weight() const override { return 1; }
  PreScoreResult PreScore(const PodInfo& pod) override {
    cls_ = pod.cls;
    const bool known = std::any_of(cls_->images.begin(), cls_->images.end(), [&](Symbol image) {
      return cluster_.NodesWithImage(image) > 0;
    });
    return {.skip = !known};
  }
  int64_t ScoreNode(const NodeInfo& node) override {
    int64_t bytes = 0;
    for (Symbol image : cls_->images) {
      auto found = std::lower_bound(node.images.begin(), node.images.end(), image,
                                    [](const auto& entry, Symbol i) { return entry.first < i; });
      if (found == node.images.end() || found->first != image) continue;
      const double spread = static_cast<double>(cluster_.NodesWithImage(image)) /
                            static_cast<double>(cluster_.node_count());
      bytes += static_cast<int64_t>(static_cast<double>(found->second) * spread);
    }
    const int64_t most = kMostBytesPerContainer * std::max(1, cls_->containers);
    return kMaxScore * (std::clamp(bytes, kLeastBytes, most) - kLeastBytes) / (most - kLeastBytes);
  }

 private:
  const Cluster& cluster_;
  PodClassPtr cls_;
};

}  // namespace

std::unique_ptr<Plugin> ImageLocality(const Cluster& cluster) {
  return std::make_unique<Impl>(cluster);
}

}  // namespace keel::orchestrator::sched
