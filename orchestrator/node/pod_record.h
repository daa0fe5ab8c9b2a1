// One pod as its node agent knows it, and the status that the API is told of it. Pure.
//
//   PodRecord pod = ...;
//   pod.containers[0].state = ContainerRecord::State::kRunning;
//   json::object patch = StatusPatch(pod, host);   // strategic merge, for pods/NAME/status
//
// The record is small: a hundred thousand pods fit in one process.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "orchestrator/api/json.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/node/container_runtime.h"
#include "orchestrator/node/pod_spec.h"

namespace keel::orchestrator {

struct ContainerRecord {
  enum class State : uint8_t { kCreating, kRunning, kTerminated, kBackOff };
  State state = State::kCreating;
  bool ready = false;
  int32_t restarts = 0;
  int32_t exit_code = 0;  // of the last end
  absl::Time started = absl::InfinitePast();
  absl::Time last_started = absl::InfinitePast();  // of the run that ended last
  absl::Time finished = absl::InfinitePast();      // its end; InfinitePast: none ever ended
};

struct PodRecord {
  enum class Phase : uint8_t { kPending, kRunning, kSucceeded, kFailed };

  ObjectKey key;
  std::string uid;
  PodHandle handle = 0;
  uint32_t node = 0;
  std::shared_ptr<const PodSpec> spec;
  Phase phase = Phase::kPending;
  bool admitted = false;         // counts against the node
  bool sandbox = false;          // the runtime was asked for one
  bool deleting = false;         // metadata.deletionTimestamp is set
  bool stopping = false;         // the runtime was told to stop it
  bool stopped = false;          // nothing of it runs
  bool has_finalizers = false;   // its end is of interest to somebody
  bool end_written = false;      // the API knows the last phase
  bool deleted = false;          // the last delete was sent
  bool scheduled = false;        // has the condition PodScheduled
  bool written_ready = false;    // what the API was told of Ready
  uint8_t running_inits = 0;     // init containers that are done, or are sidecars that run
  int64_t grace_seconds = 30;    // of the deletion
  uint64_t written_version = 0;  // resourceVersion of the last answer to a status write
  std::string ip;
  std::string reason, message;                         // of status: why it was rejected
  absl::Time start = absl::InfinitePast();             // status.startTime
  absl::Time ready_changed = absl::InfinitePast();     // when Ready last changed
  absl::Time initialized = absl::InfinitePast();       // when the last init container was done
  absl::InlinedVector<ContainerRecord, 1> containers;  // as in PodSpec::at

  bool terminal() const { return phase == Phase::kSucceeded || phase == Phase::kFailed; }
  bool Ready() const;  // all containers but init containers
};

std::string_view PhaseName(PodRecord::Phase phase);

// Strategic merge patch of the whole status that a node agent owns, with the pod's uid as a
// precondition. `back_off`: what the next restart of a failing container waits.
json::object StatusPatch(const PodRecord& pod, std::string_view host_ip, absl::Duration back_off);

// Takes over what the API knows of a pod that an agent before this one ran: phase, address,
// start, containers. REQUIRES: pod.spec is set.
void AdoptStatus(const json::object& object, PodRecord& pod);

}  // namespace keel::orchestrator
