#include "base/strings.h"
#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

std::string_view FirstOf(const json::object& object, std::initializer_list<JsonPath> paths) {
  for (JsonPath path : paths) {
    if (const std::string_view text = StringAt(object, path); !text.empty()) return text;
  }
  return {};
}

json::value FirstSeen(const json::object& object, absl::Time now) {
  return json::value(AgeOf(FirstOf(object, {{"firstTimestamp"}, {"eventTime"}}), now));
}

json::value LastSeen(const json::object& object, absl::Time now) {
  return json::value(AgeOf(
      FirstOf(
          object,
          {{"series", "lastObservedTime"}, {"lastTimestamp"}, {"firstTimestamp"}, {"eventTime"}}),
      now));
}

json::value ObjectCell(const json::object& object, absl::Time) {
  std::string kind(StringAt(object, {"involvedObject", "kind"}));
  for (char& c : kind) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  const std::string_view name = StringAt(object, {"involvedObject", "name"});
  return json::value(name.empty() ? kind : base::StrCat(kind, "/", name));
}

json::value SourceCell(const json::object& object, absl::Time) {
  std::string_view component = StringAt(object, {"source", "component"});
  if (component.empty()) component = StringAt(object, {"reportingComponent"});
  std::string_view host = StringAt(object, {"source", "host"});
  if (host.empty()) host = StringAt(object, {"reportingInstance"});
  return json::value(host.empty() ? std::string(component) : base::StrCat(component, ", ", host));
}

json::value CountCell(const json::object& object, absl::Time) {
  const int64_t series = IntAt(object, {"series", "count"});
  const int64_t count = series > 0 ? series : IntAt(object, {"count"});
  // Events of the newer form that were seen once carry no count.
  return count > 0 ? count : 1;
}

json::value MessageCell(const json::object& object, absl::Time) {
  std::string_view message = StringAt(object, {"message"});
  const size_t from = message.find_first_not_of(" \t\r\n");
  if (from == std::string_view::npos) return "";
  return json::value(message.substr(from, message.find_last_not_of(" \t\r\n") - from + 1));
}

void Check(const json::object& object, FieldErrors& errors) {
  const std::string_view about = StringAt(object, {"involvedObject", "namespace"});
  const std::string_view ns = StringAt(object, {"metadata", "namespace"});
  const bool fits = about.empty() ? ns.empty() || ns == "default" : about == ns;
  if (!fits) {
    errors.InvalidValue("involvedObject.namespace", json::value(about),
                        "does not match event.namespace");
  }
}

}  // namespace

Kind EventKind() {
  Column name = NameColumn();
  name.priority = 1;
  return {
      .version = "v1",
      .kind = "Event",
      .plural = "events",
      .short_names = {"ev"},
      .types = R"(
# Something that happened to an object.
Event {
  involvedObject!     ObjectReference       -- The object.
  reason              string                -- What happened, as one word for programs.
  message             string                -- What happened, for people.
  source              EventSource = {}      -- Who saw it.
  firstTimestamp      time nullable         -- When it was first seen.
  lastTimestamp       time nullable         -- When it was last seen.
  count               int32                 -- How often it was seen.
  type                string                -- Normal or Warning.
  eventTime           microtime nullable    -- When it was first seen.
  series              EventSeries           -- The series that it stands for.
  action              string                -- What was done.
  related             ObjectReference       -- A second object.
  reportingComponent  string = ""           -- Who saw it.
  reportingInstance   string = ""           -- Which instance of it.
}
# A series of like events.
EventSeries {
  count             int32      -- How many.
  lastObservedTime  microtime  -- When the last one was seen.
}
# Who saw an event.
EventSource {
  component  string  -- The program.
  host       string  -- Its node.
}
)",
      .columns = {CellColumn("Last Seen", "string", 0, LastSeen), TextColumn("Type", {"type"}),
                  TextColumn("Reason", {"reason"}), CellColumn("Object", "string", 0, ObjectCell),
                  TextColumn("Subobject", {"involvedObject", "fieldPath"}, "", 1),
                  CellColumn("Source", "string", 1, SourceCell),
                  CellColumn("Message", "string", 0, MessageCell),
                  CellColumn("First Seen", "string", 1, FirstSeen),
                  CellColumn("Count", "string", 1, CountCell), std::move(name)},
      .name_column_first = false,
      .selectable_fields = {"involvedObject.kind", "involvedObject.namespace",
                            "involvedObject.name", "involvedObject.uid",
                            "involvedObject.apiVersion", "involvedObject.resourceVersion",
                            "involvedObject.fieldPath", "reason", "reportingComponent", "source",
                            "type"},
      .can_create_by_update = true,
      .check = Check,
  };
}

}  // namespace keel::orchestrator
