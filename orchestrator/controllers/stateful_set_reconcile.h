// What a StatefulSet needs done: a pure function of it, its pods, claims and revisions.
//
//   Plan plan = ReconcileStatefulSet({.set = set, .pods = pods, .claims = claims,
//                                     .revisions = revisions, .now = now});
//
// Pods are numbered; each has its own claims, which outlive it. With OrderedReady one is started
// only when all before it are available, and stopped only when all after it are gone; an update
// goes from the last to the first, one at a time.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

struct StatefulSetState {
  const json::object& set;
  std::vector<const PodInfo*> pods;            // whose controller it is
  std::vector<const json::object*> claims;     // PersistentVolumeClaims of its namespace
  std::vector<const json::object*> revisions;  // ControllerRevisions whose controller it is
  absl::Time now;
};
Plan ReconcileStatefulSet(const StatefulSetState& state);

// "web-3" of "web" → 3; -1 when the name is none of the set's.
int64_t OrdinalOf(std::string_view pod, std::string_view set);

}  // namespace keel::orchestrator
