// What a Deployment says of itself: counts, and the conditions Available, Progressing and
// ReplicaFailure, as `kubectl rollout status` reads them.
//
// Pure functions; `status` is the object under change, and starts as the deployment's.
#pragma once

#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/controllers/deployment_reconcile.h"
#include "orchestrator/controllers/plan.h"

namespace keel::orchestrator {

struct CountedSet {
  const json::object* object = nullptr;
  int64_t replicas = 0;  // spec.replicas as it is to be
  bool is_new = false;
};

// Counts, observedGeneration and Available.
void CountReplicas(const json::object& deployment, const std::vector<CountedSet>& sets,
                   const RollingLimits& limits, absl::Time now, json::object& status);
// Progressing by how the counts changed, or by time; ReplicaFailure from the sets. Asks for another
// look when the deadline passes.
void NoteRollout(const json::object& deployment, std::string_view newest,
                 const std::vector<CountedSet>& sets, absl::Time now, json::object& status,
                 Plan& plan);
// Progressing is True for `reason`, if the deployment has a deadline for it.
void NoteProgress(const json::object& deployment, std::string_view reason, std::string_view message,
                  absl::Time now, json::object& status);
// Progressing is Unknown while paused, and when it goes on.
void NotePaused(const json::object& deployment, absl::Time now, json::object& status);

bool IsComplete(const json::object& deployment, const json::object& status);

}  // namespace keel::orchestrator
