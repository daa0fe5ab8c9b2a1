// What ConfigMaps and Secrets ask of their data.
#pragma once

#include <string_view>
#include <vector>

#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// Keys are file names, none is in two of the members, and all values together are at most 1 MiB.
void CheckData(const json::object& object, const std::vector<std::string_view>& members,
               FieldErrors& errors);
// `immutable: true` holds for the data and for itself.
void CheckImmutableData(const json::object& object, const json::object& before,
                        const std::vector<std::string_view>& members, FieldErrors& errors);

}  // namespace keel::orchestrator
