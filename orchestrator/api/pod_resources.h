// What a pod asks for as a whole: what its containers and its init containers need, whichever of
// the two is more, and its overhead.
//
// Thread-safe: free functions.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "orchestrator/api/json.h"
#include "orchestrator/api/quantity.h"

namespace keel::orchestrator {

using ResourceList = std::map<std::string, Quantity>;  // "cpu", "memory", ...

ResourceList ReadResources(const json::object& in);
// `part` is "requests" or "limits". Init containers that restart always run beside the others.
ResourceList PodResources(const json::object& pod, std::string_view part);

}  // namespace keel::orchestrator
