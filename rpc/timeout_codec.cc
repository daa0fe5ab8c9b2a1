#include "rpc/timeout_codec.h"

#include <cstdint>

#include "base/strings.h"

namespace keel::rpc::internal {

namespace {

constexpr int64_t kDigitsMax = 99'999'999;

struct Unit {
  char name;
  int64_t nanoseconds;
};
constexpr Unit kUnits[] = {{'n', 1},
                           {'u', 1'000},
                           {'m', 1'000'000},
                           {'S', 1'000'000'000},
                           {'M', 60'000'000'000},
                           {'H', 3'600'000'000'000}};

}  // namespace

absl::StatusOr<base::Duration> ParseTimeout(std::string_view text) {
  const auto malformed = [&](std::string_view why) {
    return absl::InternalError(
        base::StrCat("malformed grpc-timeout: transport: ", why, ": \"", text, "\""));
  };
  if (text.size() < 2) return malformed("timeout string is too short");
  if (text.size() > 9) return malformed("timeout string is too long");
  int64_t unit_nanoseconds = 0;
  for (const Unit& unit : kUnits) {
    if (unit.name == text.back()) unit_nanoseconds = unit.nanoseconds;
  }
  if (unit_nanoseconds == 0) return malformed("timeout unit is not recognized");
  int64_t value = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return malformed("timeout is not a number");
    value = value * 10 + (c - '0');
  }
  if (value > INT64_MAX / unit_nanoseconds) return base::Duration::max();
  return base::Duration(value * unit_nanoseconds);
}

std::string FormatTimeout(base::Duration timeout) {
  if (timeout.count() <= 0) return "0n";
  for (const Unit& unit : kUnits) {
    const int64_t value =
        timeout.count() / unit.nanoseconds + (timeout.count() % unit.nanoseconds != 0);
    if (value <= kDigitsMax) return base::StrCat(value, std::string_view(&unit.name, 1));
  }
  return base::StrCat(kDigitsMax, "H");
}

}  // namespace keel::rpc::internal
