#include "orchestrator/controllers/cron_schedule.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

struct Field {
  std::string_view what;
  int min, max;
  std::vector<std::string_view> names;  // of min, min + 1, ...
};

const std::array<Field, 5>& Fields() {
  static const auto& fields = *new std::array<Field, 5>{{
      {"minute", 0, 59, {}},
      {"hour", 0, 23, {}},
      {"day of month", 1, 31, {}},
      {"month",
       1,
       12,
       {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
      {"day of week", 0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
  }};
  return fields;
}

absl::Status Bad(std::string_view part, std::string_view why) {
  return absl::InvalidArgumentError(base::StrCat(why, ": ", part));
}

absl::StatusOr<int> NumberOf(std::string_view text, const Field& field) {
  const std::string lower = absl::AsciiStrToLower(base::ToAbsl(text));
  for (size_t i = 0; i < field.names.size(); ++i) {
    if (lower == field.names[i]) return field.min + static_cast<int>(i);
  }
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) {
    return Bad(text, "failed to parse int from");
  }
  return number;
}

// Adds the values of one element of a list to `bits`; `star` is set when it stands for all.
absl::Status AddRange(std::string_view text, const Field& field, uint64_t& bits, bool& star) {
  const std::vector<std::string> parts = absl::StrSplit(base::ToAbsl(text), '/');
  if (parts.size() > 2) return Bad(text, "too many slashes");
  const std::vector<std::string> ends = absl::StrSplit(parts[0], '-');
  int low = field.min, high = field.max, step = 1;
  bool all = false;
  if (parts[0] == "*" || parts[0] == "?") {
    all = true;
  } else {
    if (ends.size() > 2) return Bad(text, "too many hyphens");
    KEEL_ASSIGN_OR_RETURN(low, NumberOf(ends[0], field));
    high = low;
    if (ends.size() == 2) {
      KEEL_ASSIGN_OR_RETURN(high, NumberOf(ends[1], field));
    }
  }
  if (parts.size() == 2) {
    KEEL_ASSIGN_OR_RETURN(step, NumberOf(parts[1], {"step", 0, 0, {}}));
    if (step == 0) return Bad(text, "step of range should be a positive number");
    if (!all && ends.size() == 1) high = field.max;
    if (step > 1) all = false;
  }
  if (low < field.min) return Bad(text, base::StrCat(field.what, " below minimum ", field.min));
  if (high > field.max) return Bad(text, base::StrCat(field.what, " above maximum ", field.max));
  if (low > high) return Bad(text, "beginning of range beyond its end");
  for (int value = low; value <= high; value += step) bits |= uint64_t{1} << value;
  star = star || all;
  return absl::OkStatus();
}

std::string_view Named(std::string_view name) {
  if (name == "@yearly" || name == "@annually") return "0 0 1 1 *";
  if (name == "@monthly") return "0 0 1 * *";
  if (name == "@weekly") return "0 0 * * 0";
  if (name == "@daily" || name == "@midnight") return "0 0 * * *";
  if (name == "@hourly") return "0 * * * *";
  return {};
}

bool Has(uint64_t bits, int value) { return (bits >> value & 1) != 0; }

int WeekdayNumber(absl::CivilDay day) {
  return (static_cast<int>(absl::GetWeekday(day)) + 1) % 7;  // Abseil's week begins on Monday.
}

// Zones have changed at multiples of a quarter of an hour only (since 1970).
constexpr absl::Duration kQuarter = absl::Minutes(15);

absl::Time FloorTo(absl::Time time, absl::Duration unit) {
  return absl::UnixEpoch() + absl::Floor(time - absl::UnixEpoch(), unit);
}

}  // namespace

absl::StatusOr<CronSchedule> CronSchedule::Parse(std::string_view text) {
  CronSchedule schedule;
  if (text.starts_with("@every ")) {
    if (!absl::ParseDuration(base::ToAbsl(text.substr(7)), &schedule.every_) ||
        schedule.every_ <= absl::ZeroDuration()) {
      return Bad(text, "failed to parse duration");
    }
    schedule.every_ = std::max(absl::Seconds(1), absl::Floor(schedule.every_, absl::Seconds(1)));
    return schedule;
  }
  if (text.starts_with("@")) {
    const std::string_view fields = Named(text);
    return fields.empty() ? Bad(text, "unrecognized descriptor") : Parse(fields);
  }
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    return Bad(text, "a time zone belongs in spec.timeZone");
  }
  const std::vector<std::string> parts =
      absl::StrSplit(base::ToAbsl(text), absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (parts.size() != Fields().size()) {
    return Bad(text, base::StrCat("expected exactly 5 fields, found ", parts.size()));
  }
  uint64_t* const bits[] = {&schedule.minutes_, &schedule.hours_, &schedule.days_,
                            &schedule.months_, &schedule.weekdays_};
  for (size_t i = 0; i < parts.size(); ++i) {
    bool star = false;
    for (absl::string_view range : absl::StrSplit(parts[i], ',')) {
      KEEL_RETURN_IF_ERROR(AddRange(base::ToStd(range), Fields()[i], *bits[i], star));
    }
    if (i == 2) schedule.days_star_ = star;
    if (i == 4) schedule.weekdays_star_ = star;
  }
  return schedule;
}

bool CronSchedule::DayMatches(absl::CivilDay day) const {
  const bool by_day = Has(days_, day.day());
  const bool by_weekday = Has(weekdays_, WeekdayNumber(day));
  return days_star_ || weekdays_star_ ? by_day && by_weekday : by_day || by_weekday;
}

bool CronSchedule::Matches(absl::Time time, absl::TimeZone zone) const {
  const absl::CivilMinute civil = absl::ToCivilMinute(time, zone);
  return Has(minutes_, civil.minute()) && Has(hours_, civil.hour()) &&
         Has(months_, civil.month()) && DayMatches(absl::CivilDay(civil));
}

absl::Time CronSchedule::Next(absl::Time after, absl::TimeZone zone) const {
  if (every_ > absl::ZeroDuration()) return FloorTo(after, absl::Seconds(1)) + every_;
  absl::Time at = FloorTo(after, absl::Minutes(1)) + absl::Minutes(1);
  const absl::CivilYear last = absl::CivilYear(absl::ToCivilYear(at, zone)) + 8;
  for (;;) {
    const absl::CivilMinute civil = absl::ToCivilMinute(at, zone);
    if (absl::CivilYear(civil) > last) return absl::InfiniteFuture();
    const absl::Time before = at;
    if (!Has(months_, civil.month())) {
      at = absl::FromCivil(absl::CivilSecond(absl::CivilMonth(civil) + 1), zone);
    } else if (!DayMatches(absl::CivilDay(civil))) {
      at = absl::FromCivil(absl::CivilSecond(absl::CivilDay(civil) + 1), zone);
    } else if (!Has(hours_, civil.hour())) {
      at = FloorTo(at, kQuarter) + kQuarter;
    } else if (!Has(minutes_, civil.minute())) {
      at += absl::Minutes(1);
    } else {
      return at;
    }
    // Where a change back repeats midnight, its first occurrence may lie behind.
    if (at <= before) at = before + absl::Minutes(1);
  }
}

absl::Time CronSchedule::Latest(absl::Time after, absl::Time until, absl::TimeZone zone) const {
  if (every_ > absl::ZeroDuration()) {
    const absl::Time start = FloorTo(after, absl::Seconds(1));
    const int64_t times = (until - start) / every_;
    return times < 1 ? absl::InfinitePast() : start + times * every_;
  }
  // Small windows first: a schedule that has missed a year of minutes is not walked through.
  for (const absl::Duration window : {absl::Hours(1), absl::Hours(24), absl::Hours(24 * 32),
                                      absl::Hours(24 * 367), absl::InfiniteDuration()}) {
    const absl::Time from = std::max(after, until - window);
    absl::Time last = absl::InfinitePast();
    for (absl::Time at = Next(from, zone); at <= until; at = Next(at, zone)) last = at;
    if (last != absl::InfinitePast() || from == after) return last;
  }
  return absl::InfinitePast();
}

int CronSchedule::CountBetween(absl::Time after, absl::Time until, absl::TimeZone zone,
                               int limit) const {
  int count = 0;
  for (absl::Time at = Next(after, zone); at <= until && count < limit; at = Next(at, zone)) {
    ++count;
  }
  return count;
}

absl::StatusOr<absl::TimeZone> ZoneOf(std::string_view name) {
  if (name.empty()) return absl::UTCTimeZone();
  absl::TimeZone zone;
  if (name == "Local" || !absl::LoadTimeZone(base::ToAbsl(name), &zone)) {
    return absl::InvalidArgumentError(base::StrCat("unknown time zone ", name));
  }
  return zone;
}

}  // namespace keel::orchestrator
