// JSON paths as CustomResourceDefinitions name them for columns.
//
//   ".spec.replicas"   ".status.conditions[?(@.type==\"Ready\")].status"   ".spec.ports[0].name"
//
// A subset of kubectl's: names, ['names'], [N], [*], and filters that compare a field with a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

class JsonPathQuery {
 public:
  static absl::StatusOr<JsonPathQuery> Parse(std::string_view text);
  // The first value that it leads to; null when there is none.
  const json::value* First(const json::object& object) const;

 private:
  struct Step {
    enum class What : uint8_t { kMember, kIndex, kAll, kFilter } what = What::kMember;
    std::string name{};               // kMember
    size_t index = 0;                 // kIndex
    std::vector<std::string> path{};  // kFilter: of the item's field
    std::string value{};              // kFilter: what it has to equal
  };
  const json::value* Walk(const json::value& at, size_t step) const;

  std::vector<Step> steps_;
};

// A column from an item of additionalPrinterColumns.
absl::StatusOr<Column> ColumnFromDefinition(const json::object& definition);

}  // namespace keel::orchestrator
