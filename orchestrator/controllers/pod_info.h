// What the controllers keep of a pod: one informer of these serves all of them, so that a hundred
// thousand pods fit in memory.
//
//   Informer<PodInfo> pods(client, {"", "v1", "pods"});
//   if (pod.owner.uid == job_uid && !pod.terminal()) ++active;
//
// A value; whoever needs more of a pod adds a field here (small, and empty for most pods) or reads
// the pod from the API.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// The owner reference that says `controller`; empty when there is none.
struct OwnerInfo {
  std::string kind, name, uid;
  friend bool operator==(const OwnerInfo&, const OwnerInfo&) = default;
};
OwnerInfo ControllerInfoOf(const json::object& object);

// Any owner, as references name it.
struct OwnerRef {
  std::string api_version, kind, name, uid;
  bool controller = false;
  bool block_owner_deletion = false;
  friend bool operator==(const OwnerRef&, const OwnerRef&) = default;
};
std::vector<OwnerRef> OwnersOf(const json::object& object);

// A container's port that has a name, as services refer to it.
struct NamedPort {
  std::string name, protocol;
  int64_t port = 0;
  friend bool operator==(const NamedPort&, const NamedPort&) = default;
};

enum class PodPhase : uint8_t { kPending, kRunning, kSucceeded, kFailed, kUnknown };

struct PodInfo {
  std::string ns, name, uid;
  OwnerInfo owner;
  // Never null; one for all pods that have the same.
  std::shared_ptr<const std::vector<OwnerRef>> owners = NoOwners();
  std::shared_ptr<const std::vector<NamedPort>> ports = NoPorts();
  std::vector<std::pair<std::string, std::string>> labels;       // by name
  std::vector<std::pair<std::string, std::string>> annotations;  // only those that controllers read
  std::vector<std::string> finalizers;
  std::string node;             // spec.nodeName
  std::string target_node;      // the one node that its affinity names: a daemon's
  std::string pod_ip, host_ip;  // of status
  std::string reason;           // status.reason ("Evicted", "NodeLost")
  PodPhase phase = PodPhase::kPending;
  bool ready = false;              // its Ready condition
  bool deleting = false;           // metadata.deletionTimestamp is set
  bool disruption_target = false;  // condition DisruptionTarget
  bool mirror = false;             // a static pod's image in the API
  bool restarts_always = true;     // spec.restartPolicy
  int32_t restarts = 0;            // of all containers
  int32_t priority = 0;
  int64_t generation = 0;
  uint64_t resource_version = 0;
  absl::Time created = absl::InfinitePast();
  absl::Time ready_since = absl::InfinitePast();  // when Ready last changed
  absl::Time started = absl::InfinitePast();      // status.startTime
  absl::Time finished = absl::InfinitePast();     // the last end of a container, of a terminal pod
  absl::Time deleted = absl::InfiniteFuture();    // deletionTimestamp: when it must be gone
  // (container, exit code) of those that have terminated; of terminal pods only.
  std::vector<std::pair<std::string, int32_t>> exit_codes;
  std::vector<std::string> claims;  // PersistentVolumeClaims that it mounts
  json::array tolerations;
  // Sums of the containers' requests.
  int64_t cpu_request_milli = 0;
  int64_t memory_request_bytes = 0;

  bool terminal() const { return phase == PodPhase::kSucceeded || phase == PodPhase::kFailed; }
  // Neither terminal nor being deleted.
  bool active() const { return !terminal() && !deleting; }
  std::string_view Label(std::string_view key) const;       // "" when there is none
  std::string_view Annotation(std::string_view key) const;  // "" when there is none

  static PodInfo Parse(const json::object& pod);
  static const std::shared_ptr<const std::vector<OwnerRef>>& NoOwners();
  static const std::shared_ptr<const std::vector<NamedPort>>& NoPorts();
};

// RFC 3339 as Kubernetes writes it; `otherwise` when it is none.
absl::Time TimeOf(std::string_view rfc3339, absl::Time otherwise = absl::InfinitePast());
std::string TimeText(absl::Time time);       // seconds: "2026-11-23T07:00:00Z"
std::string MicroTimeText(absl::Time time);  // six digits: Leases, Events
// "100m" → 100, "1" → 1000, "128Mi" with scale 1 → 134217728; 0 when it is no quantity. Rounds up.
int64_t QuantityAt(const json::value& quantity, int64_t scale);

}  // namespace keel::orchestrator
