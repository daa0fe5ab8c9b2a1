// The roles, bindings, namespaces and priority classes that every cluster of Kubernetes has, and
// what it takes to bring a cluster's to them.
//
// Thread-safe: free functions.
#pragma once

#include <optional>
#include <vector>

#include "orchestrator/apiserver/access/gates.h"

namespace keel::orchestrator {

// With resource, namespace, name and the object; mod_revision is 0. Namespaces come first.
std::vector<WantedObject> DefaultObjects();

// `have` with what `want` has and it lacks, or nullopt when it lacks nothing. As Kubernetes does at
// start: rules and subjects are added, never taken away; an object whose annotation
// rbac.authorization.kubernetes.io/autoupdate is "false" stays as it is, and so does what is no
// RBAC object.
std::optional<json::object> Reconciled(const json::object& want, const json::object& have);

}  // namespace keel::orchestrator
