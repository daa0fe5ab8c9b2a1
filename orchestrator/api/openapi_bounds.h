// Bounds that a node of an OpenAPI schema sets to its values, read into what names them alike.
//
//   Schema out;  // or ValueRules
//   ReadBounds(from, path, errors, out);
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "orchestrator/api/error.h"
#include "orchestrator/api/field_path.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/pattern.h"

namespace keel::orchestrator {

// The member, when it is there and is a number.
inline std::optional<double> NumberAt(const json::object& from, std::string_view name) {
  const json::value* value = Find(from, {name});
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}
inline std::optional<int64_t> IntegerAt(const json::object& from, std::string_view name) {
  const json::value* value = Find(from, {name});
  if (value == nullptr || !value->is_int64()) return std::nullopt;
  return value->get_int64();
}

template <typename Rules>
void ReadBounds(const json::object& from, const FieldPath& path, FieldErrors& errors, Rules& out) {
  out.minimum = NumberAt(from, "minimum");
  out.maximum = NumberAt(from, "maximum");
  out.exclusive_minimum = BoolAt(from, {"exclusiveMinimum"});
  out.exclusive_maximum = BoolAt(from, {"exclusiveMaximum"});
  out.min_length = IntegerAt(from, "minLength");
  out.max_length = IntegerAt(from, "maxLength");
  out.min_items = IntegerAt(from, "minItems");
  out.max_items = IntegerAt(from, "maxItems");
  out.pattern = StringAt(from, {"pattern"});
  if (out.pattern.empty()) return;
  auto compiled = Pattern::Compile(out.pattern);
  if (compiled.ok()) {
    out.compiled_pattern = *std::move(compiled);
  } else {
    errors.InvalidValue(FieldPath(path, "pattern").ToString(), json::value(out.pattern),
                        "must be a valid regular expression");
  }
}

}  // namespace keel::orchestrator
