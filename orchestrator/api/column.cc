// The columns of tables that nearly every kind has.
#include "base/strings.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/api/time.h"

namespace keel::orchestrator {

Column NameColumn() {
  return {.name = "Name",
          .type = "string",
          .description = "Unique within a namespace for this kind of object.",
          .format = "name",
          .cell = [](const json::object& object, absl::Time) -> json::value {
            return json::value(StringAt(object, {"metadata", "name"}));
          }};
}

Column AgeColumn() {
  return {.name = "Age",
          .type = "string",
          .description = "How long ago the object was created.",
          .cell = [](const json::object& object, absl::Time now) -> json::value {
            return json::value(AgeOf(StringAt(object, {"metadata", "creationTimestamp"}), now));
          }};
}

Column TextColumn(std::string name, std::vector<std::string> path, std::string missing,
                  int priority) {
  return {.name = std::move(name),
          .priority = priority,
          .cell = [path = std::move(path), missing = std::move(missing)](
                      const json::object& object, absl::Time) -> json::value {
            const json::object* in = &object;
            const json::value* found = nullptr;
            for (const std::string& part : path) {
              found = in == nullptr ? nullptr : in->if_contains(part);
              in = found == nullptr ? nullptr : found->if_object();
            }
            if (found == nullptr || found->is_null()) return json::value(missing);
            if (const json::string* text = found->if_string()) {
              return json::value(text->empty() ? json::string(missing) : *text);
            }
            if (found->is_bool()) return json::value(found->get_bool() ? "true" : "false");
            return json::value(ToJson(*found));
          }};
}

std::string HumanDuration(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds < -1) return "<invalid>";
  if (duration < absl::ZeroDuration()) return "0s";
  if (seconds < 120) return base::StrCat(seconds, "s");
  const int64_t minutes = seconds / 60;
  if (minutes < 10) {
    const int64_t rest = seconds % 60;
    return rest == 0 ? base::StrCat(minutes, "m") : base::StrCat(minutes, "m", rest, "s");
  }
  if (minutes < 180) return base::StrCat(minutes, "m");
  const int64_t hours = minutes / 60;
  if (hours < 8) {
    const int64_t rest = minutes % 60;
    return rest == 0 ? base::StrCat(hours, "h") : base::StrCat(hours, "h", rest, "m");
  }
  if (hours < 48) return base::StrCat(hours, "h");
  const int64_t days = hours / 24;
  if (days < 8) {
    const int64_t rest = hours % 24;
    return rest == 0 ? base::StrCat(days, "d") : base::StrCat(days, "d", rest, "h");
  }
  if (days < 2 * 365) return base::StrCat(days, "d");
  const int64_t years = days / 365;
  if (days < 8 * 365) {
    const int64_t rest = days % 365;
    return rest == 0 ? base::StrCat(years, "y") : base::StrCat(years, "y", rest, "d");
  }
  return base::StrCat(years, "y");
}

std::string AgeOf(std::string_view rfc3339, absl::Time now) {
  if (rfc3339.empty()) return "<unknown>";
  const auto time = ParseTime(rfc3339);
  if (!time.ok()) return "<unknown>";
  return HumanDuration(now - *time);
}

}  // namespace keel::orchestrator
