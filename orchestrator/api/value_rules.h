// What a CustomResourceDefinition's schema asks of values beyond their structure: `multipleOf`,
// counts of properties, and other schemas of which all, some, one or none must hold.
//
//   FieldErrors errors;
//   auto rules = ValueRules::OfNode(open_api, path, errors);  // null: it asks for nothing of that
//   rules->Check(value, FieldPath("spec"), errors);
//
// Those other schemas ask (`required`, `enum`, `properties` ...) but describe nothing, as
// Kubernetes' structural schemas want it. Words of errors are Kubernetes' own. Immutable.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/api/error.h"
#include "orchestrator/api/field_path.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/pattern.h"

namespace keel::orchestrator {

struct ValueRules {
  // As they stand in the definition: multipleOf, minProperties, maxProperties, allOf, anyOf, oneOf
  // and not. Only of a node of the structural schema.
  json::object source{};

  std::optional<double> multiple_of{};
  std::optional<int64_t> min_properties{}, max_properties{};
  std::vector<ValueRules> all_of{}, any_of{}, one_of{};
  std::unique_ptr<const ValueRules> none_of{};  // `not`

  // Only of the schemas inside the four.
  std::string type{};
  std::vector<json::value> enum_values{};
  std::optional<double> minimum{}, maximum{};
  bool exclusive_minimum = false, exclusive_maximum = false;
  std::optional<int64_t> min_length{}, max_length{}, min_items{}, max_items{};
  std::string pattern{};
  std::shared_ptr<const Pattern> compiled_pattern{};
  std::vector<std::string> required{};
  std::vector<std::pair<std::string, ValueRules>> properties{};
  std::unique_ptr<const ValueRules> items{};

  // What a node of a structural schema has of them; mistakes are added to `errors`.
  static std::shared_ptr<const ValueRules> OfNode(const json::object& open_api,
                                                  const FieldPath& path, FieldErrors& errors);

  void Check(const json::value& value, const FieldPath& path, FieldErrors& errors) const;
  void Check(const json::object& object, const FieldPath& path, FieldErrors& errors) const;
};

}  // namespace keel::orchestrator
