// Debian builds Abseil with its own absl::string_view, distinct from
// std::string_view. Keel's interfaces speak std::string_view; these bridge.
//
//   base::StrCat("open ", path_view, ": ", 5)   // as absl::StrCat
//   base::ToStd(status.message())               // absl → std
//   base::ToAbsl(view)                          // std → absl
#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace keel::base {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

namespace internal {
inline absl::string_view CatArg(std::string_view text) { return ToAbsl(text); }
inline absl::string_view CatArg(const std::string& text) { return text; }
inline absl::string_view CatArg(const char* text) { return text; }
template <typename T>
const T& CatArg(const T& value) {
  return value;
}
}  // namespace internal

template <typename... Args>
std::string StrCat(const Args&... args) {
  return absl::StrCat(internal::CatArg(args)...);
}

}  // namespace keel::base
