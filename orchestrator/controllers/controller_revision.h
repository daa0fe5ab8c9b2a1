// The history of a DaemonSet's or StatefulSet's template, as ControllerRevisions.
//
//   Revisions r = SyncRevisions({.owner = set, .api_version = "apps/v1", .kind = "StatefulSet",
//                                .revisions = revisions});
//   r.requests ...; r.update is the revision of the template as it is now
//
// The template is kept as the patch that would bring it back. A template that was there before
// takes its old revision up again, with the highest number: so rollbacks are seen. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "orchestrator/controllers/plan.h"

namespace keel::orchestrator {

struct RevisionState {
  const json::object& owner;
  std::string_view api_version, kind;
  std::vector<const json::object*> revisions;  // whose controller it is
};

struct Revisions {
  json::object update;            // as it is, or as it will be created
  std::vector<Request> requests;  // creates it, or gives it the highest number
};
Revisions SyncRevisions(const RevisionState& state);

// Deletes the oldest revisions beyond spec.revisionHistoryLimit that are not in `live` (names).
std::vector<Request> TrimRevisions(const RevisionState& state,
                                   const absl::flat_hash_set<std::string>& live);

// The hash in a revision's name.
std::string_view HashOf(const json::object& revision);
// spec.template as the revision keeps it.
json::object TemplateOf(const json::object& revision);

}  // namespace keel::orchestrator
