// Persistent volumes as far as they decide where a pod may run: which volume a claim is bound to
// and which nodes that volume can be reached from.
//
//   volumes.SetClaim("default/data", {.volume = "pv-1", .storage_class = "fast"});
//   volumes.SetVolume("pv-1", {.nodes = selector});
//
// One thread only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "orchestrator/scheduler/selector.h"

namespace keel::orchestrator::sched {

struct ClaimInfo {
  std::string volume{};  // spec.volumeName; empty: not bound
  std::string storage_class{};
  bool terminating = false;
};

struct VolumeInfo {
  std::optional<NodeSelector> nodes{};                          // spec.nodeAffinity.required
  std::vector<std::pair<Symbol, std::vector<Symbol>>> zones{};  // zone labels and their values
};

ClaimInfo ParseClaim(const json::object& claim);
VolumeInfo ParseVolume(const json::object& volume, Symbols& symbols);

class Volumes {
 public:
  void SetClaim(const std::string& key, ClaimInfo claim) { claims_[key] = std::move(claim); }
  void RemoveClaim(const std::string& key) { claims_.erase(key); }
  void SetVolume(const std::string& name, VolumeInfo volume) { volumes_[name] = std::move(volume); }
  void RemoveVolume(const std::string& name) { volumes_.erase(name); }
  // Whether claims of the class are bound only once a pod uses them (WaitForFirstConsumer).
  void SetWaits(const std::string& storage_class, bool waits) { waits_[storage_class] = waits; }

  const ClaimInfo* Claim(const std::string& key) const { return At(claims_, key); }
  const VolumeInfo* Volume(const std::string& name) const { return At(volumes_, name); }
  bool Waits(const std::string& storage_class) const {
    const bool* waits = At(waits_, storage_class);
    return waits != nullptr && *waits;
  }

 private:
  template <typename Map>
  static const typename Map::mapped_type* At(const Map& map, const std::string& key) {
    auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
  }

  absl::flat_hash_map<std::string, ClaimInfo> claims_;
  absl::flat_hash_map<std::string, VolumeInfo> volumes_;
  absl::flat_hash_map<std::string, bool> waits_;
};

}  // namespace keel::orchestrator::sched
