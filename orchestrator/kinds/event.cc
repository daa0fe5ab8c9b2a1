#include "orchestrator/kinds/common/event.h"

namespace keel::orchestrator {
namespace {

void Check(const json::object& object, FieldErrors& errors) {
  CheckEventNamespace(StringAt(object, {"involvedObject", "namespace"}), object, errors);
}

}  // namespace

Kind EventKind() {
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
      .columns = EventColumns(),
      .name_column_first = false,
      .selectable_fields = {"involvedObject.kind", "involvedObject.namespace",
                            "involvedObject.name", "involvedObject.uid",
                            "involvedObject.apiVersion", "involvedObject.resourceVersion",
                            "involvedObject.fieldPath", "reason", "reportingComponent", "type",
                            "source"},
      .can_create_by_update = true,
      .check = Check,
  };
}

}  // namespace keel::orchestrator
