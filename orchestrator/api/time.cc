#include "orchestrator/api/time.h"

#include "base/strings.h"

namespace keel::orchestrator {

std::string FormatTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string FormatMicroTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> ParseTime(std::string_view text) {
  absl::Time time;
  std::string error;
  // Abseil reads more than RFC 3339 has (white space, "infinite-future"): its look is checked
  // first.
  const bool looks_right = text.size() >= 20 && text[4] == '-' && text[7] == '-' &&
                           text[10] == 'T' && text[13] == ':' && text[16] == ':' &&
                           (text.back() == 'Z' || text[text.size() - 3] == ':') &&
                           text.find(' ') == std::string_view::npos;
  if (!looks_right || !absl::ParseTime(absl::RFC3339_full, base::ToAbsl(text), &time, &error)) {
    return absl::InvalidArgumentError(
        base::StrCat("parsing time \"", text, "\" as \"2006-01-02T15:04:05Z07:00\": cannot parse"));
  }
  return time;
}

}  // namespace keel::orchestrator
