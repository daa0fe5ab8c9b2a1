#include "orchestrator/apiserver/presenter.h"

#include "absl/time/clock.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/table.h"

namespace keel::orchestrator {

namespace {

std::string MetaVersion(const Presenter::View& view) {
  return base::StrCat("meta.k8s.io/", view.format.as_version);
}

json::object RowOf(const Presenter::View& view, json::object object) {
  json::object row;
  row["cells"] = TableCells(*view.kind, object, absl::Now());
  if (view.include_object == "Object") {
    row["object"] = std::move(object);
  } else if (view.include_object == "Metadata") {
    row["object"] = PartialMetadata(object, MetaVersion(view));
  }
  return row;
}

}  // namespace

std::string Presenter::View::id() const {
  return base::StrCat(kind->group, "/", kind->version, "/", kind->kind, "/",
                      static_cast<int>(format.as), "/", format.as_version, "/", include_object,
                      columns_told ? "/rows" : "");
}

Presenter::View Presenter::ViewOf(std::shared_ptr<const Kind> kind, const OutputFormat& format,
                                  const QueryParams& query) const {
  View view;
  view.stored = kinds_.Stored(*kind);
  view.kind = std::move(kind);
  view.format = format;
  if (const std::string_view include = query.Get("includeObject"); !include.empty()) {
    view.include_object = std::string(include);
  }
  return view;
}

absl::Status Presenter::ToVersion(const Kind& kind, json::object& object) const {
  const std::string version = kind.api_version();
  if (StringAt(object, {"apiVersion"}) == version) return absl::OkStatus();
  if (kind.from_stored) kind.from_stored(object);
  object["apiVersion"] = version;
  return absl::OkStatus();
}

absl::Status Presenter::ToStored(const Kind& kind, json::object& object) const {
  const std::shared_ptr<const Kind> stored = kinds_.Stored(kind);
  if (stored == nullptr || (stored->version == kind.version && stored->group == kind.group)) {
    return absl::OkStatus();
  }
  if (kind.to_stored) kind.to_stored(object);
  object["apiVersion"] = stored->api_version();
  return absl::OkStatus();
}

absl::StatusOr<json::object> Presenter::Converted(const View& view, std::string_view bytes) const {
  KEEL_ASSIGN_OR_RETURN(json::value value, ParseJson(bytes));
  if (!value.is_object()) return Internal("what is stored is no object");
  KEEL_RETURN_IF_ERROR(ToVersion(*view.kind, value.as_object()));
  return std::move(value.as_object());
}

absl::StatusOr<std::string> Presenter::Item(const View& view, std::string_view bytes) const {
  if (view.raw()) return std::string(bytes);
  KEEL_ASSIGN_OR_RETURN(json::object object, Converted(view, bytes));
  switch (view.format.as) {
    case OutputAs::kTable:
      return ToJson(RowOf(view, std::move(object)));
    case OutputAs::kPartialMetadata:
      return ToJson(PartialMetadata(object, MetaVersion(view)));
    default:
      return ToJson(object);
  }
}

absl::StatusOr<std::string> Presenter::Object(const View& view, std::string_view bytes) const {
  if (view.format.as != OutputAs::kTable) return Item(view, bytes);
  KEEL_ASSIGN_OR_RETURN(json::value value, ParseJson(bytes));
  json::object metadata;
  if (const json::value* revision = Find(value, {"metadata", "resourceVersion"})) {
    metadata["resourceVersion"] = *revision;
  }
  KEEL_ASSIGN_OR_RETURN(const std::string row, Item(view, bytes));
  return ListHead(view, metadata) + row + std::string(ListTail());
}

std::string Presenter::ListHead(const View& view, const json::object& list_metadata) const {
  const std::string metadata = ToJson(list_metadata);
  switch (view.format.as) {
    case OutputAs::kTable:
      return base::StrCat(R"({"kind":"Table","apiVersion":")", MetaVersion(view),
                          R"(","metadata":)", metadata, R"(,"columnDefinitions":)",
                          view.columns_told ? "null" : ToJson(ColumnDefinitions(*view.kind)),
                          R"(,"rows":[)");
    case OutputAs::kPartialMetadata:
      return base::StrCat(R"({"kind":"PartialObjectMetadataList","apiVersion":")",
                          MetaVersion(view), R"(","metadata":)", metadata, R"(,"items":[)");
    default:
      return base::StrCat(
          R"({"kind":")",
          view.kind->list_kind.empty() ? view.kind->kind + "List" : view.kind->list_kind,
          R"(","apiVersion":")", view.kind->api_version(), R"(","metadata":)", metadata,
          R"(,"items":[)");
  }
}

std::string Presenter::Bookmark(const View& view, int64_t revision, bool initial_events_end) const {
  json::object metadata;
  metadata["resourceVersion"] = std::to_string(revision);
  if (initial_events_end) {
    metadata["annotations"] = json::object{{"k8s.io/initial-events-end", "true"}};
  }
  if (view.format.as == OutputAs::kTable) {
    json::object object;
    object["kind"] = view.kind->kind;
    object["apiVersion"] = view.kind->api_version();
    object["metadata"] = metadata;
    json::object row;
    row["cells"] = json::array();
    row["object"] =
        view.include_object == "Object" ? object : PartialMetadata(object, MetaVersion(view));
    return base::StrCat(ListHead(view, {{"resourceVersion", std::to_string(revision)}}),
                        ToJson(row), ListTail());
  }
  json::object object;
  const bool partial = view.format.as == OutputAs::kPartialMetadata;
  object["kind"] = partial ? "PartialObjectMetadata" : view.kind->kind;
  object["apiVersion"] = partial ? MetaVersion(view) : view.kind->api_version();
  object["metadata"] = std::move(metadata);
  return ToJson(object);
}

}  // namespace keel::orchestrator
