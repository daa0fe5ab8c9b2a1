// Always-on checks of invariants. A failed check prints the condition, the
// values given, file and line, and aborts: a broken invariant is a bug, and
// going on would put data at risk. Expected failures are absl::Status instead.
//
//   KEEL_CHECK(next > match, "next=", next, " match=", match);
#pragma once

#include <string_view>

#include "base/strings.h"

namespace keel::base {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              std::string_view detail);

}  // namespace keel::base

#define KEEL_CHECK(condition, ...)                                                    \
  do {                                                                                \
    if (!(condition)) [[unlikely]] {                                                  \
      ::keel::base::CheckFailed(__FILE__, __LINE__, #condition,                       \
                                ::keel::base::StrCat("" __VA_OPT__(, ) __VA_ARGS__)); \
    }                                                                                 \
  } while (false)
