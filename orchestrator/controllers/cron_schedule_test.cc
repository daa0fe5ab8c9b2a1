#include "orchestrator/controllers/cron_schedule.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

absl::Time At(const std::string& text) {
  absl::Time time;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &time, &error)) << error;
  return time;
}

std::string NextOf(std::string_view schedule, const std::string& after,
                   std::string_view zone = "") {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ",
                          CronSchedule::Parse(schedule)->Next(At(after), *ZoneOf(zone)),
                          absl::UTCTimeZone());
}

TEST(CronSchedule, NextTimes) {
  struct Case {
    const char *schedule, *after, *next;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"* * * * *", "2026-11-23T07:00:00Z", "2026-11-23T07:01:00Z"},
           {"* * * * *", "2026-11-23T07:00:59.9Z", "2026-11-23T07:01:00Z"},
           {"*/15 * * * *", "2026-11-23T07:45:00Z", "2026-11-23T08:00:00Z"},
           {"5/20 * * * *", "2026-11-23T07:26:00Z", "2026-11-23T07:45:00Z"},
           {"20-35/15 * * * *", "2026-11-23T07:26:00Z", "2026-11-23T07:35:00Z"},
           {"0 0 29 2 *", "2026-11-23T07:00:00Z", "2028-02-29T00:00:00Z"},
           {"0 0 29 2 ?", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},  // 2100 is no leap year
           {"0 0 * Feb Mon", "2026-11-23T07:00:00Z", "2027-02-01T00:00:00Z"},
           {"0 0 13 * fri", "2026-11-23T07:00:00Z", "2026-11-27T00:00:00Z"},    // either
           {"0 0 */13 * fri", "2026-11-23T07:00:00Z", "2026-11-27T00:00:00Z"},  // a step: no star
           {"0 0 * * 0", "2026-11-23T07:00:00Z", "2026-11-29T00:00:00Z"},
           {"@hourly", "2026-11-23T07:00:00Z", "2026-11-23T08:00:00Z"},
           {"@daily", "2026-11-23T07:00:00Z", "2026-11-24T00:00:00Z"},
           {"@midnight", "2026-11-23T07:00:00Z", "2026-11-24T00:00:00Z"},
           {"@weekly", "2026-11-23T07:00:00Z", "2026-11-29T00:00:00Z"},
           {"@monthly", "2026-11-23T07:00:00Z", "2026-12-01T00:00:00Z"},
           {"@yearly", "2026-11-23T07:00:00Z", "2027-01-01T00:00:00Z"},
           {"@annually", "2026-11-23T07:00:00Z", "2027-01-01T00:00:00Z"},
           {"@every 1h30m", "2026-11-23T07:00:00.5Z", "2026-11-23T08:30:00Z"},
       }) {
    EXPECT_EQ(NextOf(c.schedule, c.after), c.next) << c.schedule;
  }
}

TEST(CronSchedule, ZonesAndTheirChanges) {
  // Kolkata is 5:30 ahead.
  EXPECT_EQ(NextOf("0 9 * * *", "2026-11-23T00:00:00Z", "Asia/Kolkata"), "2026-11-23T03:30:00Z");
  // New York, 2026-03-08: 02:00 to 03:00 does not exist.
  EXPECT_EQ(NextOf("30 2 * * *", "2026-03-08T05:00:00Z", "America/New_York"),
            "2026-03-09T06:30:00Z");
  // 2026-11-01: 01:00 to 02:00 comes twice.
  EXPECT_EQ(NextOf("30 1 * * *", "2026-11-01T04:00:00Z", "America/New_York"),
            "2026-11-01T05:30:00Z");
  EXPECT_EQ(NextOf("30 1 * * *", "2026-11-01T05:30:00Z", "America/New_York"),
            "2026-11-01T06:30:00Z");
  EXPECT_FALSE(ZoneOf("Mars/Phobos").ok());
  EXPECT_FALSE(ZoneOf("Local").ok());
}

TEST(CronSchedule, NeverIsNever) {
  const CronSchedule schedule = *CronSchedule::Parse("0 0 31 2 *");
  EXPECT_EQ(schedule.Next(At("2026-11-23T07:00:00Z"), absl::UTCTimeZone()), absl::InfiniteFuture());
  EXPECT_EQ(
      schedule.Latest(At("2020-11-23T07:00:00Z"), At("2026-11-23T07:00:00Z"), absl::UTCTimeZone()),
      absl::InfinitePast());
}

TEST(CronSchedule, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "* * * *",
                           "* * * * * *",
                           "60 * * * *",
                           "* 24 * * *",
                           "* * 0 * *",
                           "* * 32 * *",
                           "* * * 0 *",
                           "* * * 13 *",
                           "* * * * 7",
                           "*/0 * * * *",
                           "5-1 * * * *",
                           "1-2-3 * * * *",
                           "1/2/3 * * * *",
                           "x * * * *",
                           "-1 * * * *",
                           "1, * * * *",
                           "* * * * mo",
                           "@never",
                           "@every",
                           "@every x",
                           "@every -1h",
                           "TZ=UTC * * * * *",
                           "jan * * * *"}) {
    EXPECT_EQ(CronSchedule::Parse(text).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
}

// ---- Against brute force

struct RandomField {
  std::string text;
  std::set<int> values;
  bool star = false;
};

RandomField AnyField(int min, int max) {
  RandomField field;
  const int parts = *rc::gen::inRange(1, 4);
  for (int i = 0; i < parts; ++i) {
    int low = min, high = max, step = 1;
    const int shape = *rc::gen::inRange(0, 6);
    std::string text;
    if (shape <= 1) {
      text = "*";
    } else {
      low = *rc::gen::inRange(min, max + 1);
      high = shape <= 3 ? low : *rc::gen::inRange(low, max + 1);
      text = shape <= 3 ? base::StrCat(low) : base::StrCat(low, "-", high);
    }
    const bool stepped = *rc::gen::inRange(0, 3) == 0;
    if (stepped) {
      step = *rc::gen::inRange(1, max + 2);
      text += base::StrCat("/", step);
      if (shape == 2 || shape == 3) high = max;
    }
    if (shape <= 1 && step == 1) field.star = true;
    for (int value = low; value <= high; value += step) field.values.insert(value);
    field.text += (i == 0 ? "" : ",") + text;
  }
  return field;
}

RC_GTEST_PROP(CronScheduleProperty, NextIsTheFirstMinuteThatMatches, ()) {
  const RandomField minute = AnyField(0, 59), hour = AnyField(0, 23), day = AnyField(1, 31),
                    month = AnyField(1, 12), weekday = AnyField(0, 6);
  const std::string text =
      base::StrCat(minute.text, " ", hour.text, " ", day.text, " ", month.text, " ", weekday.text);
  const auto schedule = CronSchedule::Parse(text);
  RC_ASSERT(schedule.ok());
  const auto matches = [&](const absl::CivilMinute& t) {
    // Zeller's congruence, Saturday 0.
    const int y = static_cast<int>(t.year()) - (t.month() < 3), m = (t.month() + 9) % 12 + 3;
    const int zeller = (t.day() + 13 * (m + 1) / 5 + y + y / 4 - y / 100 + y / 400) % 7;
    const bool by_day = day.values.contains(t.day());
    const bool by_weekday = weekday.values.contains((zeller + 6) % 7);
    return minute.values.contains(t.minute()) && hour.values.contains(t.hour()) &&
           month.values.contains(t.month()) &&
           (day.star || weekday.star ? by_day && by_weekday : by_day || by_weekday);
  };
  // Around a change of the clocks in each of these; Lord Howe changes by half an hour.
  const auto [zone_name, start] = *rc::gen::element(
      std::pair<std::string, std::string>("", "2028-02-28T12:34:56Z"),
      std::pair<std::string, std::string>("America/New_York", "2026-03-07T12:00:00Z"),
      std::pair<std::string, std::string>("Europe/Berlin", "2026-10-24T12:00:00Z"),
      std::pair<std::string, std::string>("America/Havana", "2026-10-31T12:00:00Z"),
      std::pair<std::string, std::string>("Africa/Cairo", "2026-04-23T12:00:00Z"),
      std::pair<std::string, std::string>("Australia/Lord_Howe", "2026-04-04T00:00:00Z"));
  const absl::TimeZone zone = *ZoneOf(zone_name);
  const absl::Time from = At(start) + absl::Minutes(*rc::gen::inRange(0, 600));
  const absl::Time until = from + absl::Hours(72);
  absl::Time first = absl::InfiniteFuture(), last = absl::InfinitePast();
  int count = 0;
  absl::Time minute_at = absl::UnixEpoch() +
                         absl::Floor(from - absl::UnixEpoch(), absl::Minutes(1)) + absl::Minutes(1);
  for (; minute_at <= until; minute_at += absl::Minutes(1)) {
    if (!matches(absl::ToCivilMinute(minute_at, zone))) continue;
    first = std::min(first, minute_at);
    last = minute_at;
    ++count;
  }
  const absl::Time next = schedule->Next(from, zone);
  RC_ASSERT((first == absl::InfiniteFuture() ? next > until : next == first));
  RC_ASSERT(schedule->Latest(from, until, zone) == last);
  RC_ASSERT(schedule->CountBetween(from, until, zone, 1000000) == count);
  if (next != absl::InfiniteFuture()) RC_ASSERT(schedule->Matches(next, zone));
}

}  // namespace
}  // namespace keel::orchestrator
