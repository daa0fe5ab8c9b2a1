// The three patches that Kubernetes takes besides server-side apply (managed_fields.h).
//
//   json::value object = ...;                        // as it is stored
//   KEEL_ASSIGN_OR_RETURN(json::value patch, ParseJson(body));
//   KEEL_RETURN_IF_ERROR(ApplyStrategicMergePatch(schema, object, std::move(patch)));
//
// The object is changed in place, and parts of the patch are moved into it. After an error it is
// somewhere in between: throw it away. What comes out is not checked: default and check it next.
// Thread-safety: none; free functions over the caller's values.
#pragma once

#include "absl/status/status.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/schema.h"

namespace keel::orchestrator {

// RFC 7386 (application/merge-patch+json). BadRequest when the patch is no object.
absl::Status ApplyMergePatch(json::value& object, json::value patch);

// RFC 6902 (application/json-patch+json): add, remove, replace, move, copy, test.
// BadRequest when the patch is no list of such operations; RequestEntityTooLarge for more than
// 10,000 of them or copies of more than 32 MiB together; Invalid (422) when one cannot be done on
// this object or a test fails.
absl::Status ApplyJsonPatch(json::value& object, json::value patch);

// Kubernetes' own (application/strategic-merge-patch+json): like a merge patch, but lists with a
// merge key are merged item by item, and lists of scalars marked `merge` are united. Directives:
// `$patch: replace|delete|merge` in objects and items, `$deleteFromPrimitiveList/FIELD`,
// `$setElementOrder/FIELD`, `$retainKeys`. New items come before those that the patch does not
// name, as in Kubernetes. BadRequest when the patch contradicts itself or the schema.
// See "Strategic Merge Patch" in the Kubernetes community's notes on API conventions.
absl::Status ApplyStrategicMergePatch(const Schema& schema, json::value& object, json::value patch);

}  // namespace keel::orchestrator
