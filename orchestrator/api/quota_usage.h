// What objects count for in resource quotas: the one set of rules of the API server, which counts
// as objects are created, and of the controller, which counts what there is.
//
//   if (QuotaSelects(quota, "pods", pod)) Add(used, QuotaUsage("pods", pod));
//
// Thread-safe: free functions.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/api/pod_resources.h"

namespace keel::orchestrator {

// By the names that quotas use: "pods", "requests.cpu", "services.nodeports", "count/jobs.batch",
// "gold.storageclass.storage.k8s.io/requests.storage". `resource` is "pods" or "jobs.batch"
// (Kind::resource()).
ResourceList QuotaUsage(std::string_view resource, const json::object& object);

// Whether the quota's scopes take in the object (scopes other than PriorityClass are of pods only).
bool QuotaSelects(const json::object& quota, std::string_view resource, const json::object& object);

// "requests.cpu for: c1,c2; limits.memory for: c1": what `hard` bounds and containers of the pod
// leave out; empty when nothing.
std::string MissingForQuota(const ResourceList& hard, const json::object& pod);

// Of which resource the objects count for that name ("requests.cpu": "pods"); empty when no rule
// is known.
std::string QuotaResourceOf(std::string_view name);

// What the functions above but MissingForQuota read of an object: they answer for it as for the
// whole. Alike for objects that count alike, so that one copy serves many.
json::object QuotaPart(const json::object& object);

}  // namespace keel::orchestrator
