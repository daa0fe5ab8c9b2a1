// Whether a text is a schedule of cron.
#pragma once

#include <string>
#include <string_view>

namespace keel::orchestrator {

// What is wrong with it, empty when nothing is. Five fields (minute, hour, day of the month, month,
// day of the week), or "@hourly" and the like, or "@every 1h30m".
std::string CheckCronSchedule(std::string_view schedule);

}  // namespace keel::orchestrator
