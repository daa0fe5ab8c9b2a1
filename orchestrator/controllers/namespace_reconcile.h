// The end of a namespace: what to say of it, and when it may go.
//
//   NamespaceVerdict verdict = JudgeNamespace(ns, content, now);
//
// Pure. All content is deleted; what is still there afterwards (pods that take their time,
// finalizers) is counted and told in the namespace's conditions, as Kubernetes tells it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

struct NamespaceContent {
  std::map<std::string, int64_t> remaining{};       // by resource ("pods", "deployments.apps")
  std::map<std::string, int64_t> finalizers{};      // by finalizer, of what remains
  std::string discovery_error{}, deletion_error{};  // empty: none
};

struct NamespaceVerdict {
  json::object status;        // the namespace's new one
  bool may_finalize = false;  // nothing is left
};
NamespaceVerdict JudgeNamespace(const json::object& ns, const NamespaceContent& content,
                                absl::Time now);

// Whether it is being deleted and its content is still ours to delete.
bool NeedsDeletion(const json::object& ns);
// spec.finalizers without "kubernetes".
json::object Finalized(const json::object& ns);

}  // namespace keel::orchestrator
