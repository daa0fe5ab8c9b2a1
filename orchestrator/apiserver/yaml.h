// YAML bodies and answers, as JSON values.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// One document; InvalidArgument with the line otherwise, and for nesting deeper than 100 or more
// than a million nodes (aliases). Plain scalars are read as YAML 1.2's core schema reads them.
absl::StatusOr<json::value> ParseYaml(std::string_view text);
// With a newline at its end; members in the order of their names.
std::string ToYaml(const json::value& value);

}  // namespace keel::orchestrator
