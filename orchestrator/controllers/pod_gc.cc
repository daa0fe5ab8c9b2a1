#include "orchestrator/controllers/pod_gc.h"

#include <algorithm>

namespace keel::orchestrator {

std::vector<PodGarbage> FindPodGarbage(const std::vector<const PodInfo*>& pods,
                                       const std::function<bool(std::string_view node)>& has_node,
                                       int64_t threshold) {
  std::vector<PodGarbage> garbage;
  std::vector<const PodInfo*> ended;
  for (const PodInfo* pod : pods) {
    if (pod->node.empty()) {
      if (pod->deleting) garbage.push_back({pod, PodGarbage::Why::kUnscheduled});
    } else if (!has_node(pod->node)) {
      garbage.push_back({pod, PodGarbage::Why::kNodeGone});
      continue;
    }
    if (pod->terminal() && !pod->deleting) ended.push_back(pod);
  }
  const int64_t beyond = static_cast<int64_t>(ended.size()) - threshold;
  if (threshold <= 0 || beyond <= 0) return garbage;
  const auto middle = ended.begin() + beyond;
  std::nth_element(ended.begin(), middle, ended.end(), [](const PodInfo* a, const PodInfo* b) {
    return std::tie(a->created, a->name) < std::tie(b->created, b->name);
  });
  for (auto it = ended.begin(); it != middle; ++it) {
    garbage.push_back({*it, PodGarbage::Why::kTerminated});
  }
  return garbage;
}

}  // namespace keel::orchestrator
