#include "orchestrator/controllers/volume_controllers.h"

#include <algorithm>
#include <utility>

namespace keel::orchestrator {
namespace {

const Resource kVolumes{"", "v1", "persistentvolumes"};
const Resource kClaims{"", "v1", "persistentvolumeclaims"};
const Resource kClasses{"storage.k8s.io", "v1", "storageclasses"};

ObjectKey ClaimKey(const json::object& volume) {
  return {std::string(StringAt(volume, {"spec", "claimRef", "namespace"})),
          std::string(StringAt(volume, {"spec", "claimRef", "name"}))};
}

}  // namespace

ClaimController::ClaimController(ControllerContext& context)
    : WorkloadController(context, {.resource = kClaimRef,
                                   .kind = "PersistentVolumeClaim",
                                   .api_version = "v1",
                                   .component = "persistentvolume-controller",
                                   .flag = "persistentvolume",
                                   // One after the other: two must not choose the same volume.
                                   .workers = 1,
                                   .owns_pods = false}),
      volumes_(context.shared.Get(kVolumes)),
      classes_(context.shared.Get(kClasses)) {
  volumes_.OnChange([this](const ObjectKey&, const RawObject* before, const RawObject* now) {
    for (const RawObject* volume : {before, now}) {
      if (volume != nullptr && !ClaimKey(volume->object).name.empty()) {
        Queue(ClaimKey(volume->object));
      }
    }
    // One that is free now may be what a claim waits for.
    if (now == nullptr || !ObjectAt(now->object, {"spec", "claimRef"}).empty()) return;
    for (const auto& [key, claim] : objects_.objects()) {
      if (StringAt(claim->object, {"status", "phase"}) != "Bound") Queue(key);
    }
  });
  classes_.OnChange([this](const ObjectKey&, const RawObject*, const RawObject*) {
    for (const auto& [key, claim] : objects_.objects()) {
      if (StringAt(claim->object, {"status", "phase"}) != "Bound") Queue(key);
    }
  });
  context.pods.OnChange([this](const ObjectKey& key, const PodInfo* before, const PodInfo* now) {
    if (before != nullptr && now != nullptr && before->terminal() == now->terminal()) return;
    for (const PodInfo* pod : {before, now}) {
      if (pod == nullptr) continue;
      for (const auto& claim : pod->claims) Queue({key.ns, std::string(claim)});
    }
  });
}

const json::object* ClaimController::ClassFor(const json::object& claim) const {
  if (Find(claim, {"spec", "storageClassName"}) != nullptr) {
    const RawObject* found =
        classes_.Find({"", std::string(StringAt(claim, {"spec", "storageClassName"}))});
    return found == nullptr ? nullptr : &found->object;
  }
  for (const auto& [key, each] : classes_.objects()) {
    if (StringAt(each->object, {"metadata", "annotations",
                                "storageclass.kubernetes.io/is-default-class"}) == "true") {
      return &each->object;
    }
  }
  return nullptr;
}

Plan ClaimController::Reconcile(const ObjectKey& key, const json::object& claim) {
  ClaimState state{.claim = claim, .storage_class = ClassFor(claim)};
  for (const auto& [name, volume] : volumes_.objects()) state.volumes.push_back(&volume->object);
  for (const ObjectKey& pod_key : context_.pods.InNamespace(key.ns)) {
    const PodInfo* pod = context_.pods.Find(pod_key);
    if (pod == nullptr || pod->terminal()) continue;
    state.used = state.used || std::any_of(pod->claims.begin(), pod->claims.end(),
                                           [&](const auto& name) { return name == key.name; });
  }
  return ReconcileClaim(state);
}

VolumeController::VolumeController(ControllerContext& context)
    : WorkloadController(context, {.resource = kVolumeRef,
                                   .kind = "PersistentVolume",
                                   .api_version = "v1",
                                   .component = "persistentvolume-controller",
                                   .flag = "persistentvolume",
                                   .owns_pods = false}),
      claims_(context.shared.Get(kClaims)) {
  claims_.OnChange([this](const ObjectKey& key, const RawObject* before, const RawObject* now) {
    for (const RawObject* claim : {before, now}) {
      if (claim == nullptr) continue;
      const std::string_view named = StringAt(claim->object, {"spec", "volumeName"});
      if (!named.empty()) Queue({"", std::string(named)});
    }
    if (now != nullptr) return;
    for (const auto& [name, volume] : objects_.objects()) {
      if (ClaimKey(volume->object) == key) Queue(name);
    }
  });
}

Plan VolumeController::Reconcile(const ObjectKey&, const json::object& volume) {
  const RawObject* claim = claims_.Find(ClaimKey(volume));
  return ReconcileVolume({.volume = volume, .claim = claim == nullptr ? nullptr : &claim->object});
}

}  // namespace keel::orchestrator
