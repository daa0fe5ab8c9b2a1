// PersistentVolumes and the claims on them: pure functions.
//
//   Plan plan = ReconcileClaim({.claim = claim, .volumes = volumes, .storage_class = storage_class,
//                               .used = used, .now = now});
//   Plan plan = ReconcileVolume({.volume = volume, .claim = claim});
//
// A claim takes the smallest volume that fits: the volume is written first (spec.claimRef), then
// the claim (spec.volumeName), so that no volume has two claims. Where none fits and the class's
// provisioner is keel.io/local, one is made: a folder of the node that the pod runs on. Volumes
// whose claim is gone are kept or deleted by their reclaim policy; claims in use and volumes that
// are bound are protected by finalizers (Kubernetes' persistent volume controller).
#pragma once

#include <string_view>
#include <vector>

#include "orchestrator/controllers/plan.h"

namespace keel::orchestrator {

inline constexpr std::string_view kLocalProvisioner = "keel.io/local";

struct ClaimState {
  const json::object& claim;
  std::vector<const json::object*> volumes;     // all
  const json::object* storage_class = nullptr;  // the claim's, or the default one
  bool used = false;                            // by a pod that has not ended
};
Plan ReconcileClaim(const ClaimState& state);

struct VolumeState {
  const json::object& volume;
  const json::object* claim = nullptr;  // of the name and namespace in spec.claimRef
};
Plan ReconcileVolume(const VolumeState& state);

// Whether the volume may serve the claim: class, mode, access modes, size, selector.
bool VolumeFits(const json::object& volume, const json::object& claim,
                std::string_view storage_class);
// The claim's class; the default one's name when it names none.
std::string_view ClassOf(const json::object& claim, const json::object* storage_class);

}  // namespace keel::orchestrator
