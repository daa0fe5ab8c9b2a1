// Selectors and query parameters, as the fake API server reads them.
//
// Thread-safety: free functions.
#pragma once

#include <string>
#include <string_view>

#include "orchestrator/api/json.h"

namespace keel::orchestrator::fake {

// The parameter's value, decoded; empty when it is missing.
std::string QueryValue(std::string_view query, std::string_view name);
// By labelSelector (=, ==, !=, in, notin, exists, !exists) and fieldSelector (=, ==, != of any
// path) of the query.
bool Selected(std::string_view query, const json::object& object);

}  // namespace keel::orchestrator::fake
