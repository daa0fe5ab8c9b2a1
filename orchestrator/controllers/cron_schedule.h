// A CronJob's schedule: five fields, or one of the names such as @hourly.
//
//   KEEL_ASSIGN_OR_RETURN(CronSchedule schedule, CronSchedule::Parse("*/15 9-17 * * mon-fri"));
//   absl::Time next = schedule.Next(now, absl::UTCTimeZone());
//
// minute (0-59), hour (0-23), day of the month (1-31), month (1-12 or jan-dec), day of the week
// (0-6 or sun-sat). A field is a list of "*", "?", "N", "N-M", each perhaps with a step "/S"
// ("N/S": from N to the end). When neither day field begins with a star, a day that matches either
// one matches (cron(5); as github.com/robfig/cron, which Kubernetes uses). A time that the change
// to summer time leaves out does not occur; one that the change back repeats occurs twice.
//
// A value, immutable.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace keel::orchestrator {

class CronSchedule {
 public:
  // InvalidArgument says what is wrong.
  static absl::StatusOr<CronSchedule> Parse(std::string_view text);

  // The first time after `after`; InfiniteFuture when there is none within eight years, the
  // longest that 29 February may be away.
  absl::Time Next(absl::Time after, absl::TimeZone zone) const;

  // The last time in (after, until]; InfinitePast when there is none.
  absl::Time Latest(absl::Time after, absl::Time until, absl::TimeZone zone) const;

  // How many lie in (after, until], counted up to `limit`.
  int CountBetween(absl::Time after, absl::Time until, absl::TimeZone zone, int limit) const;

  // Whether the minute of `time` is one.
  bool Matches(absl::Time time, absl::TimeZone zone) const;

 private:
  bool DayMatches(absl::CivilDay day) const;

  absl::Duration every_ = absl::ZeroDuration();  // of "@every 1h30m"; else the fields count
  uint64_t minutes_ = 0, hours_ = 0, days_ = 0, months_ = 0, weekdays_ = 0;  // a bit per value
  bool days_star_ = false, weekdays_star_ = false;
};

// The empty name is UTC, as the controller manager's own zone is. InvalidArgument for unknown ones.
absl::StatusOr<absl::TimeZone> ZoneOf(std::string_view name);

}  // namespace keel::orchestrator
