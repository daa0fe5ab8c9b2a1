#include "orchestrator/kinds/common/event.h"

#include <algorithm>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

std::string_view FirstOf(const json::object& object, std::initializer_list<JsonPath> paths) {
  for (JsonPath path : paths) {
    if (const std::string_view text = StringAt(object, path); !text.empty()) return text;
  }
  return {};
}

json::value FirstSeen(const json::object& object, absl::Time now) {
  return json::value(AgeOf(
      FirstOf(object, {{"firstTimestamp"}, {"deprecatedFirstTimestamp"}, {"eventTime"}}), now));
}

json::value LastSeen(const json::object& object, absl::Time now) {
  return json::value(AgeOf(FirstOf(object, {{"series", "lastObservedTime"},
                                            {"lastTimestamp"},
                                            {"deprecatedLastTimestamp"},
                                            {"firstTimestamp"},
                                            {"deprecatedFirstTimestamp"},
                                            {"eventTime"}}),
                           now));
}

json::value ObjectCell(const json::object& object, absl::Time) {
  std::string kind(FirstOf(object, {{"involvedObject", "kind"}, {"regarding", "kind"}}));
  for (char& c : kind) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  const std::string_view name =
      FirstOf(object, {{"involvedObject", "name"}, {"regarding", "name"}});
  return json::value(name.empty() ? kind : base::StrCat(kind, "/", name));
}

json::value SubobjectCell(const json::object& object, absl::Time) {
  return json::value(
      FirstOf(object, {{"involvedObject", "fieldPath"}, {"regarding", "fieldPath"}}));
}

json::value SourceCell(const json::object& object, absl::Time) {
  const std::string_view component = FirstOf(object, {{"source", "component"},
                                                      {"deprecatedSource", "component"},
                                                      {"reportingComponent"},
                                                      {"reportingController"}});
  const std::string_view host =
      FirstOf(object, {{"source", "host"}, {"deprecatedSource", "host"}, {"reportingInstance"}});
  return json::value(host.empty() ? std::string(component) : base::StrCat(component, ", ", host));
}

json::value CountCell(const json::object& object, absl::Time) {
  const int64_t series = IntAt(object, {"series", "count"});
  const int64_t count =
      series > 0 ? series : std::max(IntAt(object, {"count"}), IntAt(object, {"deprecatedCount"}));
  // Events of the newer form that were seen once carry no count.
  return count > 0 ? count : 1;
}

json::value MessageCell(const json::object& object, absl::Time) {
  const std::string_view message = FirstOf(object, {{"message"}, {"note"}});
  const size_t from = message.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return "";
  return json::value(message.substr(from, message.find_last_not_of(" \t\r\n") - from + 1));
}

}  // namespace

std::vector<Column> EventColumns() {
  Column name = NameColumn();
  name.priority = 1;
  return {CellColumn("Last Seen", "string", 0, LastSeen),
          TextColumn("Type", {"type"}),
          TextColumn("Reason", {"reason"}),
          CellColumn("Object", "string", 0, ObjectCell),
          CellColumn("Subobject", "string", 1, SubobjectCell),
          CellColumn("Source", "string", 1, SourceCell),
          CellColumn("Message", "string", 0, MessageCell),
          CellColumn("First Seen", "string", 1, FirstSeen),
          CellColumn("Count", "string", 1, CountCell),
          std::move(name)};
}

void CheckEventNamespace(std::string_view about, const json::object& event, FieldErrors& errors) {
  const std::string_view ns = StringAt(event, {"metadata", "namespace"});
  const bool fits = about.empty() ? ns.empty() || ns == "default" : about == ns;
  if (!fits) {
    errors.InvalidValue("involvedObject.namespace", json::value(about),
                        "does not match event.namespace");
  }
}

}  // namespace keel::orchestrator
