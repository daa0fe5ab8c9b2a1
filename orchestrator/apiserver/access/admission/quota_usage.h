// What objects count for in resource quotas.
//
// Thread-safe: free functions (those with a view: on its loop).
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/access/admission/pod_resources.h"

namespace keel::orchestrator {

// By the names that quotas use: "pods", "requests.cpu", "services.nodeports", "count/jobs.batch",
// "gold.storageclass.storage.k8s.io/requests.storage". `resource` as in ObjectView.
ResourceList QuotaUsage(std::string_view resource, const json::object& object);

// Whether the quota's scopes take in the object (scopes other than PriorityClass are of pods only).
bool QuotaSelects(const json::object& quota, std::string_view resource, const json::object& object);

// "requests.cpu for: c1,c2; limits.memory for: c1": what `hard` bounds and containers of the pod
// leave out; empty when nothing.
std::string MissingForQuota(const ResourceList& hard, const json::object& pod);

// What all objects of that resource in the quota's namespace count for now.
ResourceList CountUsage(ObjectView& view, const json::object& quota, std::string_view resource);

}  // namespace keel::orchestrator
