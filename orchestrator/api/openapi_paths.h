// The paths of one kind with their operations, as OpenAPI lists them. Internal to openapi.cc.
//
//   AddPaths({.kind = kind, .definition = name, .list_definition = list_name}, 3, paths);
//
// Thread-safe.
#pragma once

#include <string>

#include "orchestrator/api/json.h"
#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

struct DescribedKind {
  const Kind& kind;
  std::string definition{};       // of an object
  std::string list_definition{};  // of a list of them
  bool strategic_merge = true;    // CRDs: no
};

// `version` of OpenAPI: 2 or 3.
void AddPaths(const DescribedKind& described, int version, json::object& paths);

}  // namespace keel::orchestrator
