// Volumes: the default class of a claim that names none, and the finalizers that keep volumes and
// claims while they are in use.

#include <algorithm>

#include "orchestrator/apiserver/access/admission/plugin.h"

namespace keel::orchestrator {

namespace {

class DefaultStorageClass final : public AdmissionPlugin {
 public:
  explicit DefaultStorageClass(ObjectView& view) : view_(view) {}

  absl::Status Mutate(AdmissionRequest& request) override {
    // "" is a choice: no class at all.
    if (!Creates(request, "persistentvolumeclaims") ||
        Find(*request.object, {"spec", "storageClassName"}) != nullptr ||
        Find(*request.object,
             {"metadata", "annotations", "volume.beta.kubernetes.io/storage-class"}) != nullptr) {
      return absl::OkStatus();
    }
    // Of several the newest; of those the first by name.
    std::string name, created;
    for (const ObjectView::Entry& entry : view_.List("storageclasses.storage.k8s.io", "")) {
      const json::object& its = *entry.object;
      if (StringAt(its, {"metadata", "annotations",
                         "storageclass.kubernetes.io/is-default-class"}) != "true") {
        continue;
      }
      const std::string_view at = StringAt(its, {"metadata", "creationTimestamp"});
      const std::string_view its_name = StringAt(its, {"metadata", "name"});
      if (name.empty() || at > created || (at == created && its_name < name)) {
        name = its_name;
        created = at;
      }
    }
    if (!name.empty()) *Ensure(*request.object, {"spec", "storageClassName"}) = name;
    return absl::OkStatus();
  }

 private:
  ObjectView& view_;
};

class StorageObjectInUseProtection final : public AdmissionPlugin {
 public:
  absl::Status Mutate(AdmissionRequest& request) override {
    std::string_view finalizer;
    if (Creates(request, "persistentvolumeclaims")) finalizer = "kubernetes.io/pvc-protection";
    if (Creates(request, "persistentvolumes")) finalizer = "kubernetes.io/pv-protection";
    if (finalizer.empty()) return absl::OkStatus();
    json::array& finalizers = EnsureArray(*request.object, {"metadata", "finalizers"});
    const json::value wanted = json::string(finalizer);
    if (std::find(finalizers.begin(), finalizers.end(), wanted) == finalizers.end()) {
      finalizers.push_back(wanted);
    }
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<AdmissionPlugin> MakeDefaultStorageClass(ObjectView& view) {
  return std::make_unique<DefaultStorageClass>(view);
}

std::unique_ptr<AdmissionPlugin> MakeStorageObjectInUseProtection() {
  return std::make_unique<StorageObjectInUseProtection>();
}

}  // namespace keel::orchestrator
