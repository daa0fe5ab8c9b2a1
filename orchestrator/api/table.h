// Tables of meta.k8s.io/v1: what kubectl asks for when it prints lists.
//
//   TableBuilder table(*kind, TableBuilder::Include::kMetadata, now);
//   for (const json::object& pod : pods) table.AddRow(pod);
//   json::object answer = std::move(table).Finish({{"resourceVersion", "12"}});
//
// The kind must outlive the builder. Not thread-safe.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

class TableBuilder {
 public:
  // What each row says of its object: nothing, a PartialObjectMetadata, or all of it.
  enum class Include : uint8_t { kNone, kMetadata, kObject };
  // Of the request's `includeObject` ("None", "Metadata", "Object"; empty: Metadata). nullopt for
  // anything else.
  static std::optional<Include> ParseInclude(std::string_view text);

  TableBuilder(const Kind& kind, Include include, absl::Time now);

  void AddRow(const json::object& object);
  // `headers` false: without column definitions, as in all but the first event of a watch.
  json::object Finish(json::object list_metadata, bool headers = true) &&;

 private:
  std::vector<const Column*> columns_;
  Column name_;
  Include include_;
  absl::Time now_;
  json::array rows_;
};

// An object as PartialObjectMetadata: its metadata alone.
json::object PartialMetadata(const json::object& object);

}  // namespace keel::orchestrator
