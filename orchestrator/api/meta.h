// The metadata of objects: short ways to read it, and what Kubernetes asks of it.
//
//   FieldErrors errors;
//   CheckObjectMeta(*kind, object, errors);                      // on create
//   CheckObjectMetaUpdate(*kind, object, before, errors);        // on update
//
// Thread-safe: free functions over the caller's values.
#pragma once

#include <string_view>

#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/api/names.h"

namespace keel::orchestrator {

inline std::string_view NameOf(const json::object& object) {
  return StringAt(object, {"metadata", "name"});
}
inline std::string_view NamespaceOf(const json::object& object) {
  return StringAt(object, {"metadata", "namespace"});
}
inline std::string_view UidOf(const json::object& object) {
  return StringAt(object, {"metadata", "uid"});
}
inline const json::object& LabelsOf(const json::object& object) {
  return ObjectAt(object, {"metadata", "labels"});
}
inline bool IsBeingDeleted(const json::object& object) {
  return !StringAt(object, {"metadata", "deletionTimestamp"}).empty();
}
// The owner reference whose `controller` is true; null if there is none.
const json::object* ControllerOf(const json::object& object);

// By the kind's rule for names. `generated_prefix`: it is a generateName, which may end with a
// dash.
Complaints CheckName(Kind::NameRule rule, std::string_view name, bool generated_prefix = false);

// Name (or generateName), namespace, labels, annotations, owners and finalizers; fields are named
// from "metadata" on.
void CheckObjectMeta(const Kind& kind, const json::object& object, FieldErrors& errors);
// The same, and what may not change: name, namespace, UID, creation time; finalizers are not added
// to what is being deleted.
void CheckObjectMetaUpdate(const Kind& kind, const json::object& object, const json::object& before,
                           FieldErrors& errors);

// Maps of labels and annotations on their own, as templates have them.
void CheckLabels(const json::object& labels, std::string_view path, FieldErrors& errors);
void CheckAnnotations(const json::object& annotations, std::string_view path, FieldErrors& errors);

}  // namespace keel::orchestrator
