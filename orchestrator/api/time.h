// Times as objects carry them, and as kubectl shows how long ago they were.
//
//   object["creationTimestamp"] = orchestrator::FormatTime(now);  // "2026-11-23T07:06:47Z"
//   lease["renewTime"] = FormatMicroTime(now);              // "2026-11-23T07:06:47.123456Z"
//   KEEL_ASSIGN_OR_RETURN(absl::Time t, ParseTime(text));   // either
//
// FormatTime is written with its namespace, since absl has a function of that name. Thread-safe:
// free functions.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace keel::orchestrator {

std::string FormatTime(absl::Time time);       // RFC 3339 in UTC, whole seconds (cut off)
std::string FormatMicroTime(absl::Time time);  // with six digits of the second
// RFC 3339 with any offset and fraction. InvalidArgument in the words of Go's time.Parse.
absl::StatusOr<absl::Time> ParseTime(std::string_view text);

}  // namespace keel::orchestrator
