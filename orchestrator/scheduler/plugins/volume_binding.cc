// VolumeBinding: a pod runs where the volumes of its claims can be reached, by the volume's node
// affinity and by its zone labels. A claim that is to be bound at its first use binds anywhere.
#include "base/strings.h"
#include "orchestrator/scheduler/plugins/plugins.h"

namespace keel::orchestrator::sched {
namespace {

class Impl final : public Plugin {
 public:
  explicit Impl(const Cluster& cluster) : cluster_(cluster) {}

  std::string_view name() const override { return "VolumeBinding"; }

  PreFilterResult PreFilter(const PodInfo& pod) override {
    bound_.clear();
    const Volumes& volumes = cluster_.volumes();
    for (const std::string& name : pod.cls->claims) {
      const ClaimInfo* claim = volumes.Claim(base::StrCat(pod.ns, "/", name));
      if (claim == nullptr) {
        return {.local = false,
                .reject = base::StrCat("persistentvolumeclaim \"", name, "\" not found")};
      }
      if (claim->terminating) {
        return {.local = false,
                .reject = base::StrCat("persistentvolumeclaim \"", name, "\" is being deleted")};
      }
      if (claim->volume.empty()) {
        if (volumes.Waits(claim->storage_class)) continue;
        return {.local = false, .reject = "pod has unbound immediate PersistentVolumeClaims"};
      }
      const VolumeInfo* volume = volumes.Volume(claim->volume);
      if (volume == nullptr) {
        return {.local = false,
                .reject = base::StrCat("persistentvolume \"", claim->volume, "\" not found")};
      }
      if (volume->nodes || !volume->zones.empty()) bound_.push_back(volume);
    }
    return {.skip = bound_.empty(), .local = false};
  }

  Fit FilterNode(const NodeInfo& node) override {
    for (const VolumeInfo* volume : bound_) {
      if (!Reaches(*volume, node) || !InZone(*volume, node)) return Fit::kNever;
    }
    return Fit::kYes;
  }
  void Explain(const NodeInfo& node, std::vector<std::string>& reasons) override {
    for (const VolumeInfo* volume : bound_) {
      if (!Reaches(*volume, node)) {
        reasons.emplace_back("node(s) didn't match PersistentVolume's node affinity");
        return;
      }
      if (!InZone(*volume, node)) {
        reasons.emplace_back("node(s) had no available volume zone");
        return;
      }
    }
  }
  bool RejectsByNodeAlone() const override { return false; }

 private:
  bool Reaches(const VolumeInfo& volume, const NodeInfo& node) const {
    return !volume.nodes ||
           volume.nodes->Matches(node.labels, node.name_symbol, cluster_.words().symbols);
  }
  static bool InZone(const VolumeInfo& volume, const NodeInfo& node) {
    for (const auto& [key, values] : volume.zones) {
      // A node without the label is in no zone that could be wrong, as in a cluster without zones.
      const Symbol value = node.labels.Get(key);
      if (value != 0 && std::find(values.begin(), values.end(), value) == values.end()) {
        return false;
      }
    }
    return true;
  }

  const Cluster& cluster_;
  std::vector<const VolumeInfo*> bound_;  // of the pod, with a say in where
};

}  // namespace

std::unique_ptr<Plugin> VolumeBinding(const Cluster& cluster) {
  return std::make_unique<Impl>(cluster);
}

}  // namespace keel::orchestrator::sched
