// events.k8s.io/v1: the events of core/v1 under other names; stored as those.
#include <utility>

#include "base/strings.h"
#include "orchestrator/api/names.h"
#include "orchestrator/kinds/common/event.h"

namespace keel::orchestrator {
namespace {

// This version's names of core/v1's fields; all others are the same.
constexpr std::pair<const char*, const char*> kNames[] = {
    {"regarding", "involvedObject"},
    {"note", "message"},
    {"reportingController", "reportingComponent"},
    {"deprecatedSource", "source"},
    {"deprecatedFirstTimestamp", "firstTimestamp"},
    {"deprecatedLastTimestamp", "lastTimestamp"},
    {"deprecatedCount", "count"}};

void Rename(json::object& object, const char* from, const char* to) {
  json::value* there = object.if_contains(from);
  if (there == nullptr) return;
  json::value value = std::move(*there);
  object.erase(from);
  object[to] = std::move(value);
}

void ToStored(json::object& object) {
  for (const auto& [here, stored] : kNames) Rename(object, here, stored);
}

void FromStored(json::object& object) {
  for (const auto& [here, stored] : kNames) Rename(object, stored, here);
}

void CheckSeries(const json::object& object, FieldErrors& errors) {
  const json::value* series = object.if_contains("series");
  if (series == nullptr || series->is_null()) return;
  if (IntAt(*series, {"count"}) < 2) {
    errors.InvalidValue("series.count", "", "should be at least 2");
  }
  if (StringAt(*series, {"lastObservedTime"}).empty()) {
    errors.Required("series.lastObservedTime", "");
  }
}

void CheckText(const json::object& object, const char* field, FieldErrors& errors) {
  const std::string_view text = StringAt(object, {field});
  if (text.empty()) {
    errors.Required(field, "");
  } else if (text.size() > 128) {
    errors.InvalidValue(field, "", "can have at most 128 characters");
  }
}

// Of creations only: events of core/v1 are seen here too, and need not be so.
void CheckNew(const json::object& object, FieldErrors& errors) {
  CheckSeries(object, errors);
  if (StringAt(object, {"eventTime"}).empty()) {
    errors.Required("eventTime", "");
  } else {
    CheckText(object, "reportingController", errors);
    for (const std::string& wrong : CheckQualifiedName(StringAt(object, {"reportingController"}))) {
      errors.InvalidValue("reportingController", *Find(object, {"reportingController"}), wrong);
    }
    for (const char* field : {"reportingInstance", "action", "reason"}) {
      CheckText(object, field, errors);
    }
    if (StringAt(object, {"note"}).size() > 1024) {
      errors.InvalidValue("message", "", "can have at most 1024 characters");
    }
  }
  const std::string_view type = StringAt(object, {"type"});
  if (type != "Normal" && type != "Warning") {
    errors.InvalidValue("type", "", base::StrCat("has invalid value: ", type));
  }
  for (const auto& [here, stored] : kNames) {
    if (!std::string_view(here).starts_with("deprecated")) continue;
    const json::value* value = object.if_contains(here);
    const bool set = value != nullptr && !value->is_null() && *value != json::value(0) &&
                     !(value->is_object() && value->get_object().empty());
    if (set) errors.InvalidValue(stored, "", "needs to be unset");
  }
}

void Check(const json::object& object, FieldErrors& errors) {
  CheckEventNamespace(StringAt(object, {"regarding", "namespace"}), object, errors);
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  static const json::value none;
  const auto at = [](const json::object& in, const char* field) {
    const json::value* value = in.if_contains(field);
    return value == nullptr ? none : *value;
  };
  for (const char* field :
       {"regarding", "reason", "note", "deprecatedSource", "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp", "deprecatedCount", "type", "eventTime", "action", "related",
        "reportingController", "reportingInstance"}) {
    if (at(object, field) == at(before, field)) continue;
    const char* told = field;
    for (const auto& [here, stored] : kNames) {
      if (std::string_view(here) == field) told = stored;
    }
    errors.InvalidValue(told, at(object, field), "field is immutable");
  }
  if (at(object, "series") != at(before, "series")) CheckSeries(object, errors);
}

}  // namespace

Kind EventV1Kind() {
  return {
      .group = "events.k8s.io",
      .version = "v1",
      .kind = "Event",
      .plural = "events",
      .short_names = {"ev"},
      .types = R"(
# Something that happened to an object.
EventV1 {
  eventTime                 microtime nullable    -- When it was first seen.
  series                    EventSeriesV1         -- The series that it stands for.
  reportingController       string = ""           -- Who saw it.
  reportingInstance         string = ""           -- Which instance of it.
  action                    string                -- What was done.
  reason                    string                -- What happened, as one word for programs.
  regarding                 ObjectReference       -- The object.
  related                   ObjectReference       -- A second object.
  note                      string                -- What happened, for people.
  type                      string                -- Normal or Warning.
  deprecatedSource          EventSource = {}      -- Of events of core/v1.
  deprecatedFirstTimestamp  time nullable         -- Of events of core/v1.
  deprecatedLastTimestamp   time nullable         -- Of events of core/v1.
  deprecatedCount           int32                 -- Of events of core/v1.
}
# A series of like events.
EventSeriesV1 {
  count!             int32      -- How many.
  lastObservedTime!  microtime  -- When the last one was seen.
}
)",
      .columns = EventColumns(),
      .name_column_first = false,
      .selectable_fields = {"regarding.kind", "regarding.namespace", "regarding.name",
                            "regarding.uid", "regarding.apiVersion", "regarding.resourceVersion",
                            "regarding.fieldPath", "reason", "reportingController", "type"},
      .can_create_by_update = true,
      .prepare =
          [](json::object& object, const json::object* before) {
            // The core's kind gives a new one these; so does this, for the same bytes.
            if (before == nullptr && !object.contains("regarding")) {
              object["regarding"] = json::object();
            }
          },
      .check = Check,
      .check_create = CheckNew,
      .check_update = CheckUpdate,
      .stored_version = "v1",
      .stored_group = "",
      .to_stored = ToStored,
      .from_stored = FromStored,
  };
}

}  // namespace keel::orchestrator
