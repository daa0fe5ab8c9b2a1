// Which addresses stand behind a Service: its Endpoints object and its EndpointSlices.
//
//   json::array subsets = SubsetsOf(service, pods);
//   Plan plan = ReconcileSlices({.service = service, .pods = pods, .slices = slices});
//
// Pure. A pod counts while it has an address and has not ended; one that is not ready stands apart
// (unless publishNotReadyAddresses); one that is being deleted stands in slices only, as
// terminating. A slice holds up to 100 endpoints; those that are there stay where they are.
#pragma once

#include <vector>

#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

inline constexpr ResourceRef kServiceRef{"", "v1", "services"};
inline constexpr ResourceRef kEndpointsRef{"", "v1", "endpoints"};
inline constexpr ResourceRef kEndpointSliceRef{"discovery.k8s.io", "v1", "endpointslices"};

// Whether the service's addresses are ours to find: it has a selector and is no ExternalName.
bool HasEndpoints(const json::object& service);
bool Selects(const json::object& service, const PodInfo& pod);

// `pods`: those that the service selects. Sorted; at most 1,000 addresses.
json::array SubsetsOf(const json::object& service, const std::vector<const PodInfo*>& pods,
                      bool* truncated = nullptr);
// Creates or updates the Endpoints object; `current` may be null.
Plan ReconcileEndpoints(const json::object& service, const std::vector<const PodInfo*>& pods,
                        const json::object* current);

struct SlicesState {
  const json::object& service;
  std::vector<const PodInfo*> pods{};
  std::vector<const json::object*> slices{};  // of the service, and managed by us
};
Plan ReconcileSlices(const SlicesState& state);

inline constexpr size_t kMaxEndpointsPerSlice = 100;

}  // namespace keel::orchestrator
