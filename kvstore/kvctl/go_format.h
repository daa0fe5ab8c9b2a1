// The textual forms that etcdctl, a Go program, prints and reads, so that what
// parses its output parses kvctl's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keel::kvctl {

// Go's %q: in double quotes, with backslash escapes; bytes that are not UTF-8
// as \xNN, characters that do not print as \uNNNN.
std::string Quote(std::string_view bytes);

// Reads a double-quoted Go string at the start of `text` and moves `text` past
// it; nullopt when there is none or it is malformed.
std::optional<std::string> TakeQuoted(std::string_view& text);

// "1.5s", "150ms", "1m30s", "0s".
std::string FormatDuration(std::chrono::nanoseconds duration);
// The same, read: a number with unit (ns, us, ms, s, m, h), or several.
std::optional<std::chrono::nanoseconds> ParseDuration(std::string_view text);

// "20 kB": powers of a thousand, one decimal below ten.
std::string FormatBytes(uint64_t bytes);

// Standard Base64 with padding.
std::string Base64(std::string_view bytes);

// A JSON string in double quotes as Go's encoding/json writes it (<, > and &
// escaped, bytes that are not UTF-8 replaced by U+FFFD).
std::string JsonString(std::string_view text);

// \x61\x62 for "ab".
std::string HexEscape(std::string_view bytes);

// Whole numbers; nullopt when `text` is anything else or out of range.
std::optional<int64_t> ParseInt64(std::string_view text, int base = 10);
std::optional<uint64_t> ParseUint64(std::string_view text, int base = 10);

}  // namespace keel::kvctl
