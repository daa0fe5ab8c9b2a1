// An OpenAPI v2 document as the protobuf that kubectl asks for.
//
//   std::string bytes = OpenApiV2ToProto(document);   // of the JSON document
//
// The message is openapi.v2.Document of gnostic (github.com/google/gnostic,
// openapiv2/OpenAPIv2.proto), as far as Keel's documents go: info, paths with operations,
// parameters and responses, definitions and extensions. What is not written as protobuf there
// (defaults, extensions) is JSON, which is YAML. Written by hand, so that nothing here needs
// protobuf. Thread-safe.
#pragma once

#include <string>

#include "orchestrator/api/json.h"

namespace keel::orchestrator {

std::string OpenApiV2ToProto(const json::object& document);

}  // namespace keel::orchestrator
