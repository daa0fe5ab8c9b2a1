#include "kvstore/kvctl/go_format.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"

namespace keel::kvctl {
namespace {

// The character at the start of `text` and its length; nullopt: not UTF-8.
std::optional<std::pair<uint32_t, size_t>> DecodeUtf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  size_t size;
  uint32_t rune, least;
  if (first < 0x80) return std::pair<uint32_t, size_t>{first, 1};
  if (first >= 0xc2 && first < 0xe0) {
    size = 2, rune = first & 0x1f, least = 0x80;
  } else if (first >= 0xe0 && first < 0xf0) {
    size = 3, rune = first & 0x0f, least = 0x800;
  } else if (first >= 0xf0 && first < 0xf5) {
    size = 4, rune = first & 0x07, least = 0x10000;
  } else {
    return std::nullopt;
  }
  if (text.size() < size) return std::nullopt;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    rune = (rune << 6) | (byte(i) & 0x3f);
  }
  if (rune < least || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000)) return std::nullopt;
  return std::pair{rune, size};
}

// Controls, spaces but the plain one, format characters, private use: the
// ranges of them that occur. (Go's table also lists each unassigned character.)
bool IsPrint(uint32_t rune) {
  constexpr std::pair<uint32_t, uint32_t> kHidden[] = {
      {0x00, 0x1f},     {0x7f, 0xa0},     {0xad, 0xad},       {0x600, 0x605},   {0x61c, 0x61c},
      {0x6dd, 0x6dd},   {0x70f, 0x70f},   {0x1680, 0x1680},   {0x180e, 0x180e}, {0x2000, 0x200f},
      {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000},   {0xe000, 0xf8ff}, {0xfeff, 0xfeff},
      {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0x10ffff}};
  return std::none_of(std::begin(kHidden), std::end(kHidden), [rune](const auto& range) {
    return rune >= range.first && rune <= range.second;
  });
}

void AppendUtf8(uint32_t rune, std::string& out) {
  if (rune < 0x80) {
    out += static_cast<char>(rune);
  } else if (rune < 0x800) {
    out += static_cast<char>(0xc0 | (rune >> 6));
    out += static_cast<char>(0x80 | (rune & 0x3f));
  } else if (rune < 0x10000) {
    out += static_cast<char>(0xe0 | (rune >> 12));
    out += static_cast<char>(0x80 | ((rune >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (rune & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (rune >> 18));
    out += static_cast<char>(0x80 | ((rune >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((rune >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (rune & 0x3f));
  }
}

// The escape letters of Go and what they stand for.
constexpr std::string_view kEscapeLetters = "abfnrtv\\\"";
constexpr std::string_view kEscapedBytes = "\a\b\f\n\r\t\v\\\"";

// Digits of a fraction below `unit`, without zeros at the end: ".5".
std::string Fraction(int64_t rest, int64_t unit) {
  if (rest == 0) return "";
  std::string digits = absl::StrFormat("%d", rest + unit).substr(1);
  while (digits.back() == '0') digits.pop_back();
  return "." + digits;
}

}  // namespace

std::string Quote(std::string_view bytes) {
  std::string out = "\"";
  while (!bytes.empty()) {
    const auto decoded = DecodeUtf8(bytes);
    const auto byte = static_cast<unsigned char>(bytes[0]);
    if (!decoded) {
      out += absl::StrFormat("\\x%02x", byte);
      bytes.remove_prefix(1);
      continue;
    }
    const auto [rune, size] = *decoded;
    const size_t escape = size == 1 ? kEscapedBytes.find(bytes[0]) : std::string_view::npos;
    if (escape != std::string_view::npos) {
      out += '\\';
      out += kEscapeLetters[escape];
    } else if (IsPrint(rune)) {
      out += bytes.substr(0, size);
    } else if (rune < 0x80) {
      out += absl::StrFormat("\\x%02x", rune);
    } else if (rune < 0x10000) {
      out += absl::StrFormat("\\u%04x", rune);
    } else {
      out += absl::StrFormat("\\U%08x", rune);
    }
    bytes.remove_prefix(size);
  }
  return out + "\"";
}

std::optional<std::string> TakeQuoted(std::string_view& text) {
  if (!text.starts_with('"')) return std::nullopt;
  std::string out;
  size_t i = 1;
  const auto number = [&](size_t digits, int base) -> std::optional<uint64_t> {
    if (i + digits > text.size()) return std::nullopt;
    const auto value = ParseUint64(text.substr(i, digits), base);
    i += digits;
    return value;
  };
  for (; i < text.size() && text[i] != '"';) {
    if (text[i] == '\n') return std::nullopt;
    if (text[i] != '\\') {
      out += text[i++];
      continue;
    }
    if (++i == text.size()) return std::nullopt;
    const char kind = text[i];
    if (const size_t escape = kEscapeLetters.find(kind); escape != std::string_view::npos) {
      out += kEscapedBytes[escape];
      ++i;
    } else if (kind == 'x') {
      ++i;
      const auto value = number(2, 16);
      if (!value) return std::nullopt;
      out += static_cast<char>(*value);
    } else if (kind == 'u' || kind == 'U') {
      ++i;
      const auto value = number(kind == 'u' ? 4 : 8, 16);
      if (!value || *value > 0x10ffff || (*value >= 0xd800 && *value < 0xe000)) return std::nullopt;
      AppendUtf8(static_cast<uint32_t>(*value), out);
    } else if (kind >= '0' && kind <= '7') {
      const auto value = number(3, 8);
      if (!value || *value > 255) return std::nullopt;
      out += static_cast<char>(*value);
    } else {
      return std::nullopt;
    }
  }
  if (i >= text.size()) return std::nullopt;
  text.remove_prefix(i + 1);
  return out;
}

std::string FormatDuration(std::chrono::nanoseconds duration) {
  int64_t ns = duration.count();
  if (ns == 0) return "0s";
  if (ns < 0) return "-" + FormatDuration(-duration);
  if (ns < 1'000) return absl::StrFormat("%dns", ns);
  if (ns < 1'000'000) return absl::StrFormat("%d%sµs", ns / 1'000, Fraction(ns % 1'000, 1'000));
  if (ns < 1'000'000'000) {
    return absl::StrFormat("%d%sms", ns / 1'000'000, Fraction(ns % 1'000'000, 1'000'000));
  }
  const int64_t seconds = ns / 1'000'000'000;
  std::string out;
  if (seconds >= 3600) out += absl::StrFormat("%dh", seconds / 3600);
  if (seconds >= 60) out += absl::StrFormat("%dm", seconds / 60 % 60);
  return out + absl::StrFormat("%d%ss", seconds % 60, Fraction(ns % 1'000'000'000, 1'000'000'000));
}

std::optional<std::chrono::nanoseconds> ParseDuration(std::string_view text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const size_t digits = text.find_first_not_of("0123456789.");
    if (digits == 0 || digits == std::string_view::npos) return std::nullopt;
    double number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + digits, number);
    if (parsed.ec != std::errc() || parsed.ptr != text.data() + digits) return std::nullopt;
    text.remove_prefix(digits);
    const std::string_view unit = text.substr(0, text.find_first_of("0123456789."));
    const auto known = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [unit](const auto& one) { return one.first == unit; });
    if (known == std::end(kUnits)) return std::nullopt;
    total += number * known->second;
    text.remove_prefix(unit.size());
  }
  if (total > 9e18) return std::nullopt;
  return std::chrono::nanoseconds(static_cast<int64_t>(total));
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 10) return absl::StrFormat("%d B", bytes);
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  value = std::floor(value * 10 + 0.5) / 10;
  return value < 10 ? absl::StrFormat("%.1f %s", value, kUnits[unit])
                    : absl::StrFormat("%.0f %s", value, kUnits[unit]);
}

std::string Base64(std::string_view bytes) { return absl::Base64Escape(base::ToAbsl(bytes)); }

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const auto decoded = DecodeUtf8(text);
    if (!decoded) {
      out += "\\ufffd";
      text.remove_prefix(1);
      continue;
    }
    const auto [rune, size] = *decoded;
    if (rune == '"' || rune == '\\') {
      out += '\\';
      out += static_cast<char>(rune);
    } else if (rune == '\n') {
      out += "\\n";
    } else if (rune == '\r') {
      out += "\\r";
    } else if (rune == '\t') {
      out += "\\t";
    } else if (rune < 0x20 || rune == '<' || rune == '>' || rune == '&' || rune == 0x2028 ||
               rune == 0x2029) {
      out += absl::StrFormat("\\u%04x", rune);
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return out + "\"";
}

std::string HexEscape(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) out += absl::StrFormat("\\x%02x", static_cast<unsigned char>(byte));
  return out;
}

std::optional<int64_t> ParseInt64(std::string_view text, int base) {
  int64_t value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> ParseUint64(std::string_view text, int base) {
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace keel::kvctl
