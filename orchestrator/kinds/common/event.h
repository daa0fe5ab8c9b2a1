// What core/v1 and events.k8s.io/v1, which name the fields differently, share of events.
#pragma once

#include <string_view>
#include <vector>

#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

// The name among them, as the last (Kind::name_column_first is false).
std::vector<Column> EventColumns();

// Whether the event lies where it belongs; `about`: the namespace of the object it is about.
void CheckEventNamespace(std::string_view about, const json::object& event, FieldErrors& errors);

}  // namespace keel::orchestrator
