// A request's body as a JSON value, whatever form it came in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// By the Content-Type: JSON (also when there is none), YAML or Kubernetes' protobuf.
// UnsupportedMediaType for others; BadRequest "error decoding WHAT: ..." when it does not parse.
// `duplicates` (may be null): members that are named twice (JSON alone can tell).
absl::StatusOr<json::value> DecodeBody(std::string_view content_type, std::string_view body,
                                       std::string_view what,
                                       std::vector<std::string>* duplicates = nullptr);

}  // namespace keel::orchestrator
