// What objects look like in a Table of meta.k8s.io, which kubectl asks for when it prints lists.
//
//   table["columnDefinitions"] = ColumnDefinitions(kind);
//   row["cells"] = TableCells(kind, pod, now);
//   row["object"] = PartialMetadata(pod, "meta.k8s.io/v1");
//
// Thread-safe.
#pragma once

#include <string_view>

#include "absl/time/time.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

json::array ColumnDefinitions(const Kind& kind);
// The object's row: a cell for each definition.
json::array TableCells(const Kind& kind, const json::object& object, absl::Time now);
// An object as PartialObjectMetadata: its metadata alone.
json::object PartialMetadata(const json::object& object, std::string_view api_version);

}  // namespace keel::orchestrator
