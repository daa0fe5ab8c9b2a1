#include "orchestrator/api/table.h"

#include <utility>

namespace keel::orchestrator {

std::optional<TableBuilder::Include> TableBuilder::ParseInclude(std::string_view text) {
  if (text.empty() || text == "Metadata") return Include::kMetadata;
  if (text == "None") return Include::kNone;
  if (text == "Object") return Include::kObject;
  return std::nullopt;
}

TableBuilder::TableBuilder(const Kind& kind, Include include, absl::Time now)
    : name_(NameColumn()), include_(include), now_(now) {
  if (kind.name_column_first) columns_.push_back(&name_);
  for (const Column& column : kind.columns) columns_.push_back(&column);
}

void TableBuilder::AddRow(const json::object& object) {
  json::array cells;
  cells.reserve(columns_.size());
  for (const Column* column : columns_) cells.push_back(column->cell(object, now_));
  json::object row;
  row["cells"] = std::move(cells);
  if (include_ == Include::kMetadata) row["object"] = PartialMetadata(object);
  if (include_ == Include::kObject) row["object"] = object;
  rows_.push_back(std::move(row));
}

json::object TableBuilder::Finish(json::object list_metadata, bool headers) && {
  json::array definitions;
  if (headers) {
    for (const Column* column : columns_) {
      definitions.push_back(json::object{{"name", column->name},
                                         {"type", column->type},
                                         {"format", column->format},
                                         {"description", column->description},
                                         {"priority", column->priority}});
    }
  }
  json::object table;
  table["kind"] = "Table";
  table["apiVersion"] = "meta.k8s.io/v1";
  table["metadata"] = std::move(list_metadata);
  if (headers) {
    table["columnDefinitions"] = std::move(definitions);
  } else {
    table["columnDefinitions"] = nullptr;
  }
  table["rows"] = std::move(rows_);
  return table;
}

json::object PartialMetadata(const json::object& object) {
  json::object partial;
  partial["kind"] = "PartialObjectMetadata";
  partial["apiVersion"] = "meta.k8s.io/v1";
  partial["metadata"] = ObjectAt(object, {"metadata"});
  return partial;
}

}  // namespace keel::orchestrator
