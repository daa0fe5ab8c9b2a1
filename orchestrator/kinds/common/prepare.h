// What kinds do with an object before it is checked.
#pragma once

#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// Clients do not write status through the object itself: on create it becomes `initial`, on update
// what it was.
void ResetStatus(json::object& object, const json::object* before, json::object initial = {});
// An update that leaves the field out keeps what it was.
void KeepIfMissing(json::object& object, const json::object* before, JsonPath path);
// Sets the member if there is none.
void SetDefault(json::object& object, std::string_view member, json::value value);
// The member as an object to write to, null if it is none.
json::object* ObjectIn(json::object& in, JsonPath path);
json::array* ArrayIn(json::object& in, JsonPath path);

}  // namespace keel::orchestrator
