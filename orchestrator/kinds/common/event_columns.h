// Columns of events, which core/v1 and events.k8s.io/v1 name the fields of differently.
#pragma once

#include <vector>

#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

// The name among them, as the last (Kind::name_column_first is false).
std::vector<Column> EventColumns();

}  // namespace keel::orchestrator
