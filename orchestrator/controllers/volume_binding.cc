#include "orchestrator/controllers/volume_binding.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "base/strings.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kBoundByController = "pv.kubernetes.io/bound-by-controller";
constexpr std::string_view kBindCompleted = "pv.kubernetes.io/bind-completed";
constexpr std::string_view kProvisionedBy = "pv.kubernetes.io/provisioned-by";
constexpr std::string_view kClaimProtection = "kubernetes.io/pvc-protection";
constexpr std::string_view kVolumeProtection = "kubernetes.io/pv-protection";

int64_t Bytes(const json::value* quantity) {
  return quantity == nullptr ? 0 : QuantityAt(*quantity, 1);
}
int64_t CapacityOf(const json::object& volume) {
  return Bytes(Find(volume, {"spec", "capacity", "storage"}));
}

std::string_view Or(std::string_view text, std::string_view otherwise) {
  return text.empty() ? otherwise : text;
}

bool IsDeleting(const json::object& object) {
  return !StringAt(object, {"metadata", "deletionTimestamp"}).empty();
}

bool IsClaimOf(const json::object& volume, const json::object& claim) {
  const json::object& ref = ObjectAt(volume, {"spec", "claimRef"});
  if (StringAt(ref, {"name"}) != NameOf(claim) ||
      StringAt(ref, {"namespace"}) != NamespaceOf(claim)) {
    return false;
  }
  const std::string_view uid = StringAt(ref, {"uid"});
  return uid.empty() || uid == UidOf(claim);
}

Request PatchOf(ResourceRef resource, const json::object& object, json::object patch) {
  const std::string_view version = StringAt(object, {"metadata", "resourceVersion"});
  if (!version.empty()) *Ensure(patch, {"metadata", "resourceVersion"}) = version;
  return {.verb = Request::Verb::kMergePatch,
          .resource = resource,
          .ns = std::string(NamespaceOf(object)),
          .name = std::string(NameOf(object)),
          .body = std::move(patch)};
}

// Adds the finalizer, or takes it away; nothing when it is so already.
void SetFinalizer(ResourceRef resource, const json::object& object, std::string_view finalizer,
                  bool wanted, Plan& plan) {
  json::array rest;
  bool has = false;
  for (const json::value& each : ArrayAt(object, {"metadata", "finalizers"})) {
    const bool same = each.is_string() && View(each.get_string()) == finalizer;
    has = has || same;
    if (!same || wanted) rest.push_back(each);
  }
  if (has == wanted) return;
  if (wanted) rest.push_back(json::value(finalizer));
  json::object patch;
  *Ensure(patch, {"metadata", "finalizers"}) =
      rest.empty() ? json::value(nullptr) : json::value(std::move(rest));
  plan.requests.push_back(PatchOf(resource, object, std::move(patch)));
}

void SetPhase(const json::object& object, std::string_view phase, Plan& plan) {
  if (!plan.status.has_value()) plan.status = ObjectAt(object, {"status"});
  (*plan.status)["phase"] = phase;
}
void DropEqualStatus(const json::object& object, Plan& plan) {
  if (plan.status.has_value() && *plan.status == ObjectAt(object, {"status"})) plan.status.reset();
}

json::object ClaimReference(const json::object& claim) {
  json::object ref{{"apiVersion", "v1"},
                   {"kind", "PersistentVolumeClaim"},
                   {"namespace", NamespaceOf(claim)},
                   {"name", NameOf(claim)},
                   {"uid", UidOf(claim)}};
  const std::string_view version = StringAt(claim, {"metadata", "resourceVersion"});
  if (!version.empty()) ref["resourceVersion"] = version;
  return ref;
}

// The claim's volume, by its own word or by the volume's.
const json::object* VolumeOf(const ClaimState& state) {
  const std::string_view named = StringAt(state.claim, {"spec", "volumeName"});
  for (const json::object* volume : state.volumes) {
    if (named.empty() ? IsClaimOf(*volume, state.claim) &&
                            !StringAt(*volume, {"spec", "claimRef", "uid"}).empty()
                      : NameOf(*volume) == named) {
      return volume;
    }
  }
  return nullptr;
}

void Bind(const json::object& claim, const json::object& volume, Plan& plan) {
  if (StringAt(claim, {"spec", "volumeName"}).empty() ||
      StringAt(claim, {"metadata", "annotations", kBindCompleted}).empty()) {
    json::object patch;
    if (StringAt(claim, {"spec", "volumeName"}).empty()) {
      *Ensure(patch, {"spec", "volumeName"}) = NameOf(volume);
      *Ensure(patch, {"metadata", "annotations", kBoundByController}) = "yes";
    }
    *Ensure(patch, {"metadata", "annotations", kBindCompleted}) = "yes";
    plan.requests.push_back(PatchOf(kClaimRef, claim, std::move(patch)));
  }
  SetPhase(claim, "Bound", plan);
  (*plan.status)["accessModes"] = ArrayAt(volume, {"spec", "accessModes"});
  (*plan.status)["capacity"] = ObjectAt(volume, {"spec", "capacity"});
}

void Provision(const ClaimState& state, Plan& plan) {
  const json::object& claim = state.claim;
  const std::string name = base::StrCat("pvc-", UidOf(claim));
  json::object annotations{{std::string(kProvisionedBy), kLocalProvisioner}};
  json::object spec{
      {"capacity", {{"storage", *Find(claim, {"spec", "resources", "requests", "storage"})}}},
      {"accessModes", ArrayAt(claim, {"spec", "accessModes"})},
      {"claimRef", ClaimReference(claim)},
      {"persistentVolumeReclaimPolicy",
       Or(StringAt(*state.storage_class, {"reclaimPolicy"}), "Delete")},
      {"storageClassName", NameOf(*state.storage_class)},
      {"volumeMode", Or(StringAt(claim, {"spec", "volumeMode"}), "Filesystem")}};
  const std::string_view root =
      Or(StringAt(*state.storage_class, {"parameters", "path"}), "/var/lib/keel/volumes");
  spec["hostPath"] =
      json::object{{"path", base::StrCat(root, "/", name)}, {"type", "DirectoryOrCreate"}};
  plan.requests.push_back(
      {.verb = Request::Verb::kCreate,
       .resource = kVolumeRef,
       .name = name,
       .body = json::object{{"apiVersion", "v1"},
                            {"kind", "PersistentVolume"},
                            {"metadata", {{"name", name}, {"annotations", std::move(annotations)}}},
                            {"spec", std::move(spec)}},
       .done = {false, "ProvisioningSucceeded", "Successfully provisioned volume %s"},
       .failed = {true, "ProvisioningFailed", "Failed to provision volume: %s"}});
}

void FindVolume(const ClaimState& state, Plan& plan) {
  const json::object& claim = state.claim;
  const json::object* best = nullptr;
  for (const json::object* volume : state.volumes) {
    if (IsDeleting(*volume) || !VolumeFits(*volume, claim, ClassOf(claim, state.storage_class))) {
      continue;
    }
    if (!ObjectAt(*volume, {"spec", "claimRef"}).empty()) {
      // Kept for a claim of this name by whoever made the volume.
      if (!IsClaimOf(*volume, claim)) continue;
      best = volume;
      break;
    }
    if (best == nullptr || std::pair(CapacityOf(*volume), NameOf(*volume)) <
                               std::pair(CapacityOf(*best), NameOf(*best))) {
      best = volume;
    }
  }
  const bool waits =
      state.storage_class != nullptr && !state.used &&
      StringAt(*state.storage_class, {"volumeBindingMode"}) == "WaitForFirstConsumer";
  if (waits) {
    plan.notes.push_back(
        {false, "WaitForFirstConsumer", "waiting for first consumer to be created before binding"});
    return;
  }
  if (best != nullptr) {
    json::object patch;
    *Ensure(patch, {"spec", "claimRef"}) = ClaimReference(claim);
    *Ensure(patch, {"metadata", "annotations", kBoundByController}) = "yes";
    plan.requests.push_back(PatchOf(kVolumeRef, *best, std::move(patch)));
    return;
  }
  const std::string_view provisioner =
      state.storage_class == nullptr ? "" : StringAt(*state.storage_class, {"provisioner"});
  if (provisioner == kLocalProvisioner &&
      Find(claim, {"spec", "resources", "requests", "storage"}) != nullptr) {
    Provision(state, plan);
  } else if (!provisioner.empty() && provisioner != "kubernetes.io/no-provisioner") {
    plan.notes.push_back(
        {false, "ExternalProvisioning",
         base::StrCat("Waiting for a volume to be created either by the external provisioner '",
                      provisioner,
                      "' or manually by the system administrator. If volume creation is delayed, "
                      "please verify that the provisioner is running and correctly registered.")});
  } else {
    const std::string_view named = ClassOf(claim, state.storage_class);
    plan.notes.push_back(
        named.empty() || state.storage_class != nullptr
            ? Note{false, "FailedBinding",
                   "no persistent volumes available for this claim and no storage class is set"}
            : Note{true, "ProvisioningFailed",
                   base::StrCat("storageclass.storage.k8s.io \"", named, "\" not found")});
  }
}

}  // namespace

std::string_view ClassOf(const json::object& claim, const json::object* storage_class) {
  if (const json::value* named = Find(claim, {"spec", "storageClassName"})) {
    return named->is_string() ? View(named->get_string()) : std::string_view();
  }
  return storage_class == nullptr ? std::string_view() : NameOf(*storage_class);
}

bool VolumeFits(const json::object& volume, const json::object& claim,
                std::string_view storage_class) {
  if (StringAt(volume, {"spec", "storageClassName"}) != storage_class) return false;
  if (Or(StringAt(volume, {"spec", "volumeMode"}), "Filesystem") !=
      Or(StringAt(claim, {"spec", "volumeMode"}), "Filesystem")) {
    return false;
  }
  const json::array& modes = ArrayAt(volume, {"spec", "accessModes"});
  for (const json::value& mode : ArrayAt(claim, {"spec", "accessModes"})) {
    if (std::find(modes.begin(), modes.end(), mode) == modes.end()) return false;
  }
  if (CapacityOf(volume) < Bytes(Find(claim, {"spec", "resources", "requests", "storage"}))) {
    return false;
  }
  std::vector<std::pair<std::string, std::string>> labels;
  for (const auto& [key, value] : ObjectAt(volume, {"metadata", "labels"})) {
    if (value.is_string()) labels.emplace_back(key, View(value.get_string()));
  }
  return SelectorMatches(ObjectAt(claim, {"spec", "selector"}), labels, true);
}

Plan ReconcileClaim(const ClaimState& state) {
  Plan plan;
  const json::object& claim = state.claim;
  if (IsDeleting(claim)) {
    if (!state.used) SetFinalizer(kClaimRef, claim, kClaimProtection, false, plan);
    return plan;
  }
  SetFinalizer(kClaimRef, claim, kClaimProtection, true, plan);
  if (!plan.requests.empty()) return plan;  // First it is safe.
  const json::object* volume = VolumeOf(state);
  const std::string_view phase = StringAt(claim, {"status", "phase"});
  if (volume != nullptr && IsClaimOf(*volume, claim)) {
    if (StringAt(*volume, {"spec", "claimRef", "uid"}).empty()) {
      json::object patch;
      *Ensure(patch, {"spec", "claimRef"}) = ClaimReference(claim);
      plan.requests.push_back(PatchOf(kVolumeRef, *volume, std::move(patch)));
    } else {
      Bind(claim, *volume, plan);
    }
  } else if (!StringAt(claim, {"metadata", "annotations", kBindCompleted}).empty()) {
    // It was bound, and its volume is gone or serves another.
    SetPhase(claim, "Lost", plan);
    plan.status->erase("capacity");
    plan.status->erase("accessModes");
    if (phase != "Lost") {
      plan.notes.push_back(
          {true, "ClaimLost",
           "Bound claim has lost its PersistentVolume. Data on the volume is lost!"});
    }
  } else {
    SetPhase(claim, "Pending", plan);
    if (!StringAt(claim, {"spec", "volumeName"}).empty()) {
      // It wants this one: one that is free is taken.
      if (volume != nullptr && ObjectAt(*volume, {"spec", "claimRef"}).empty()) {
        json::object patch;
        *Ensure(patch, {"spec", "claimRef"}) = ClaimReference(claim);
        plan.requests.push_back(PatchOf(kVolumeRef, *volume, std::move(patch)));
      }
    } else {
      FindVolume(state, plan);
    }
  }
  DropEqualStatus(claim, plan);
  return plan;
}

Plan ReconcileVolume(const VolumeState& state) {
  Plan plan;
  const json::object& volume = state.volume;
  const bool claimed = !ObjectAt(volume, {"spec", "claimRef"}).empty();
  const std::string_view uid = StringAt(volume, {"spec", "claimRef", "uid"});
  const bool has_claim =
      claimed && state.claim != nullptr && (uid.empty() || uid == UidOf(*state.claim));
  const bool bound =
      has_claim && !uid.empty() && StringAt(*state.claim, {"spec", "volumeName"}) == NameOf(volume);
  if (IsDeleting(volume)) {
    if (!bound) SetFinalizer(kVolumeRef, volume, kVolumeProtection, false, plan);
    return plan;
  }
  SetFinalizer(kVolumeRef, volume, kVolumeProtection, true, plan);
  if (!plan.requests.empty()) return plan;
  if (bound) {
    SetPhase(volume, "Bound", plan);
  } else if (!claimed || uid.empty() || has_claim) {
    // Free, kept for a claim that is not there yet, or on its way to be bound.
    SetPhase(volume, "Available", plan);
  } else {
    SetPhase(volume, "Released", plan);
    if (Or(StringAt(volume, {"spec", "persistentVolumeReclaimPolicy"}), "Retain") == "Delete") {
      if (StringAt(volume, {"metadata", "annotations", kProvisionedBy}) == kLocalProvisioner) {
        plan.requests.push_back(DeleteRequest(kVolumeRef, "", NameOf(volume), UidOf(volume)));
      } else if (StringAt(volume, {"status", "phase"}) != "Failed") {
        SetPhase(volume, "Failed", plan);
        (*plan.status)["message"] = "error getting deleter volume plugin for volume";
        plan.notes.push_back(
            {true, "VolumeFailedDelete", "error getting deleter volume plugin for volume"});
      } else {
        plan.status.reset();
      }
    }
  }
  DropEqualStatus(volume, plan);
  return plan;
}

}  // namespace keel::orchestrator
