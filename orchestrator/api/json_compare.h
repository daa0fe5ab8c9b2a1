// Values that mean the same though they are written differently, and items of lists that are maps.
//
//   CanonicalJson(a) == CanonicalJson(b);   // members in any order
//   SameKeys(containers, item, other);      // both are the container "web"
//
// Thread-safe.
#pragma once

#include <string>

#include "orchestrator/api/json.h"
#include "orchestrator/api/schema.h"

namespace keel::orchestrator {

// As JSON with the members of objects in the order of their names.
std::string CanonicalJson(const json::value& value);

// Whether two items of a list with keys have the same ones. A key that an item lacks has its
// default, if the schema has one for it.
// REQUIRES: list.list_kind == kMap.
bool SameKeys(const Schema& list, const json::value& a, const json::value& b);
// The key's value of an item or its default; null when it has neither.
const json::value* KeyOf(const Schema& list, const std::string& key, const json::value& item);

}  // namespace keel::orchestrator
