// JSON values, as all of the orchestrator handles them: Boost.JSON's, in the order in which they
// were written, with short ways to read from them.
//
//   KEEL_ASSIGN_OR_RETURN(json::value pod, ParseJson(text));
//   std::string_view name = StringAt(pod, {"metadata", "name"});       // "" when it is not there
//   for (const json::value& c : ArrayAt(pod, {"spec", "containers"})) ...
//   *Ensure(pod, {"status", "phase"}) = "Running";
//
// A path is a list of names of object members; what is missing on the way, or of another type,
// reads as nothing. Thread-safety: none; free functions over the caller's values.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace keel::orchestrator {

namespace json = boost::json;

using JsonPath = std::initializer_list<std::string_view>;

// InvalidArgument with the place when `text` is not one JSON value, or is nested deeper than 1,000.
// Of a member that is named twice the last counts; `duplicates` (if given) collects such paths
// ("spec.replicas").
absl::StatusOr<json::value> ParseJson(std::string_view text,
                                      std::vector<std::string>* duplicates = nullptr);
std::string ToJson(const json::value& value);
// With two spaces, as kubectl prints.
std::string ToPrettyJson(const json::value& value);

// Null when there is nothing of that path.
const json::value* Find(const json::value& in, JsonPath path);
json::value* Find(json::value& in, JsonPath path);
const json::value* Find(const json::object& in, JsonPath path);
json::value* Find(json::object& in, JsonPath path);

// Empty views, empty containers, or `otherwise` when it is missing or of another type. The views
// last as long as the value.
std::string_view StringAt(const json::value& in, JsonPath path);
std::string_view StringAt(const json::object& in, JsonPath path);
int64_t IntAt(const json::value& in, JsonPath path, int64_t otherwise = 0);
int64_t IntAt(const json::object& in, JsonPath path, int64_t otherwise = 0);
bool BoolAt(const json::value& in, JsonPath path, bool otherwise = false);
bool BoolAt(const json::object& in, JsonPath path, bool otherwise = false);
const json::array& ArrayAt(const json::value& in, JsonPath path);
const json::array& ArrayAt(const json::object& in, JsonPath path);
const json::object& ObjectAt(const json::value& in, JsonPath path);
const json::object& ObjectAt(const json::object& in, JsonPath path);

// Makes objects on the way (in place of what is none) and returns the member, null if it is new.
json::value* Ensure(json::value& in, JsonPath path);
json::value* Ensure(json::object& in, JsonPath path);
// Removes the member; true if there was one.
bool Remove(json::value& in, JsonPath path);
bool Remove(json::object& in, JsonPath path);

inline std::string_view View(const json::string& s) { return {s.data(), s.size()}; }

}  // namespace keel::orchestrator
