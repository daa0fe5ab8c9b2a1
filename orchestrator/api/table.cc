#include "orchestrator/api/table.h"

#include <vector>

namespace keel::orchestrator {
namespace {

std::vector<const Column*> ColumnsOf(const Kind& kind) {
  static const Column name = NameColumn();
  std::vector<const Column*> columns;
  columns.reserve(kind.columns.size() + 1);
  if (kind.name_column_first) columns.push_back(&name);
  for (const Column& column : kind.columns) columns.push_back(&column);
  return columns;
}

}  // namespace

json::array ColumnDefinitions(const Kind& kind) {
  json::array out;
  for (const Column* column : ColumnsOf(kind)) {
    out.push_back(json::object{{"name", column->name},
                               {"type", column->type},
                               {"format", column->format},
                               {"description", column->description},
                               {"priority", column->priority}});
  }
  return out;
}

json::array TableCells(const Kind& kind, const json::object& object, absl::Time now) {
  json::array cells;
  for (const Column* column : ColumnsOf(kind)) {
    cells.push_back(column->cell ? column->cell(object, now) : json::value(""));
  }
  return cells;
}

json::object PartialMetadata(const json::object& object, std::string_view api_version) {
  json::object partial;
  partial["kind"] = "PartialObjectMetadata";
  partial["apiVersion"] = json::string_view(api_version.data(), api_version.size());
  partial["metadata"] = ObjectAt(object, {"metadata"});
  return partial;
}

}  // namespace keel::orchestrator
