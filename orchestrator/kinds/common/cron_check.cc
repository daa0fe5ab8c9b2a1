#include "orchestrator/kinds/common/cron_check.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

struct FieldRule {
  int least;
  int most;
  std::string_view names;  // three letters each, the first standing for `least`
};
constexpr FieldRule kFields[] = {{0, 59, ""},
                                 {0, 23, ""},
                                 {1, 31, ""},
                                 {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
                                 {0, 6, "sunmontuewedthufrisat"}};

// -1 when it is neither a number nor a name.
int NumberOf(std::string_view text, const FieldRule& rule) {
  const std::string lower = absl::AsciiStrToLower(base::ToAbsl(text));
  if (lower.size() == 3 && !rule.names.empty()) {
    for (size_t at = 0; at < rule.names.size(); at += 3) {
      if (rule.names.substr(at, 3) == lower) return rule.least + static_cast<int>(at / 3);
    }
  }
  if (text.empty() || text.size() > 4) return -1;
  int number = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
  }
  return number;
}

std::string CheckPart(std::string_view part, const FieldRule& rule) {
  std::string_view range = part;
  if (const size_t slash = part.find('/'); slash != std::string_view::npos) {
    range = part.substr(0, slash);
    const int step = NumberOf(part.substr(slash + 1), {0, 0, ""});
    if (step < 0) {
      return base::StrCat("failed to parse int from ", part.substr(slash + 1));
    }
    if (step == 0) return base::StrCat("step of range should be a positive number: ", part);
  }
  if (range == "*" || range == "?") return "";
  const size_t dash = range.find('-');
  const std::string_view first = range.substr(0, dash);
  const std::string_view last = dash == std::string_view::npos ? first : range.substr(dash + 1);
  const int from = NumberOf(first, rule);
  const int to = NumberOf(last, rule);
  if (from < 0) return base::StrCat("failed to parse int from ", first);
  if (to < 0) return base::StrCat("failed to parse int from ", last);
  if (from < rule.least) {
    return base::StrCat("beginning of range (", from, ") below minimum (", rule.least, "): ", part);
  }
  if (to > rule.most) {
    return base::StrCat("end of range (", to, ") above maximum (", rule.most, "): ", part);
  }
  if (from > to) {
    return base::StrCat("beginning of range (", from, ") beyond end of range (", to, "): ", part);
  }
  return "";
}

}  // namespace

std::string CheckCronSchedule(std::string_view schedule) {
  if (schedule.empty()) return "empty spec string";
  if (schedule.starts_with('@')) {
    constexpr std::string_view kKnown[] = {"@yearly", "@annually", "@monthly", "@weekly",
                                           "@daily",  "@midnight", "@hourly"};
    if (std::find(std::begin(kKnown), std::end(kKnown), schedule) != std::end(kKnown)) return "";
    if (schedule.starts_with("@every ")) {
      absl::Duration every;
      if (absl::ParseDuration(std::string(schedule.substr(7)), &every)) return "";
      return base::StrCat("failed to parse duration ", schedule);
    }
    return base::StrCat("unrecognized descriptor: ", schedule);
  }
  const std::vector<std::string> fields =
      absl::StrSplit(base::ToAbsl(schedule), absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (fields.size() != std::size(kFields)) {
    std::string all;
    for (const std::string& field : fields) all += (all.empty() ? "" : " ") + field;
    return base::StrCat("expected exactly 5 fields, found ", fields.size(), ": [", all, "]");
  }
  for (size_t i = 0; i < fields.size(); ++i) {
    for (absl::string_view part : absl::StrSplit(fields[i], ',')) {
      if (std::string wrong = CheckPart(base::ToStd(part), kFields[i]); !wrong.empty()) {
        return wrong;
      }
    }
  }
  return "";
}

}  // namespace keel::orchestrator
