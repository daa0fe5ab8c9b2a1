// Server-side apply: who set which fields of an object (metadata.managedFields).
//
//   const FieldManager who{.name = "helm", .api_version = "apps/v1", .time =
//   "2024-02-29T01:02:03Z"};
//   // PATCH application/apply-patch+yaml
//   KEEL_ASSIGN_OR_RETURN(json::value now, ApplyConfiguration(schema, live, config, who, force));
//   // every other write, after the object has been made ready to be stored
//   KEEL_RETURN_IF_ERROR(TrackUpdate(schema, live, now, who));
//
// Who owns what is only kept of objects that have been applied so: all others have no managedFields
// and TrackUpdate costs a look at them. The first apply to such an object gives all that is there
// to a manager "before-first-apply", as Kubernetes does with objects older than its feature; what
// `kubectl apply` had noted in its annotation goes to "kubectl", so that going over from
// client-side to server-side apply meets no conflicts. A writer that is not told to TrackUpdate
// (Keel's daemons that write status) changes no owners: applying stays right, it only meets no
// conflict there.
//
// Fields that no client decides (apiVersion, kind, metadata.name, uid, ...) have no owners. Leave
// out what a write does not touch (status, or all but status) of `config` before.
//
// The rules are those of structured-merge-diff (kubernetes-sigs). Thread-safety: none; free
// functions over the caller's values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/field_set.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/schema.h"

namespace keel::orchestrator {

// Who writes, and when (RFC 3339).
struct FieldManager {
  std::string name{};
  std::string api_version{};
  std::string time{};
  std::string subresource{};  // "status", "scale" or nothing
};

// One entry of metadata.managedFields.
struct ManagedFieldsEntry {
  FieldManager manager{};
  bool is_apply = false;  // else an update
  FieldSet fields{};
};

// BadRequest when an entry is none. What is not there reads as no entries.
absl::StatusOr<std::vector<ManagedFieldsEntry>> ParseManagedFields(const json::value& object);
// Sorted as Kubernetes sorts them; takes the member away when there are no entries.
void SetManagedFields(json::value& object, std::vector<ManagedFieldsEntry> entries);

// Whether the owners of its fields are kept.
bool IsTracked(const json::value& object);
bool IsTracked(const json::object& object);

// The object after `who` applied `config`: merged by the schema, without the fields that only `who`
// owned and does not apply any more, with new managedFields. `live` is null when there is no object
// yet. It equals `live`, managedFields and their times included, when there is nothing to write.
// 409 Conflict with a cause of reason FieldManagerConflict for each field of another manager that
// would change, unless `force`. BadRequest for a configuration with unknown fields, items without
// keys or managedFields.
absl::StatusOr<json::value> ApplyConfiguration(const Schema& schema, const json::value& live,
                                               json::value config, const FieldManager& who,
                                               bool force);

// Puts into `now` who owns its fields after `who` made it of `before` by a create, update or patch.
// A client may write managedFields itself: a list of one empty entry forgets all, a valid list is
// taken in place of that of `before`. BadRequest when it is malformed.
absl::Status TrackUpdate(const Schema& schema, const json::value& before, json::value& now,
                         const FieldManager& who);
// The same without copies where nothing is tracked. `before` is null for a create.
absl::Status TrackUpdate(const Schema& schema, const json::object* before, json::object& now,
                         const FieldManager& who);

}  // namespace keel::orchestrator
