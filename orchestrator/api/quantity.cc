#include "orchestrator/api/quantity.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

__extension__ using Int128 = __int128;

constexpr int64_t kNano = 1'000'000'000;
constexpr int64_t kMaxUnits = std::numeric_limits<int64_t>::max();
constexpr Int128 kMaxNanos = Int128{kMaxUnits} * kNano;

constexpr char kFormatWrong[] =
    "quantities must match the regular expression "
    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
constexpr char kNumericWrong[] = "unable to parse numeric part of quantity";
constexpr char kSuffixWrong[] = "unable to parse quantity's suffix";

struct Suffix {
  std::string_view text;
  int exponent;  // of 10, or of 2
};
constexpr Suffix kDecimalSuffixes[] = {{"n", -9}, {"u", -6}, {"m", -3}, {"", 0},   {"k", 3},
                                       {"M", 6},  {"G", 9},  {"T", 12}, {"P", 15}, {"E", 18}};
constexpr Suffix kBinarySuffixes[] = {{"Ki", 10}, {"Mi", 20}, {"Gi", 30},
                                      {"Ti", 40}, {"Pi", 50}, {"Ei", 60}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

Int128 Clamp(Int128 nanos) { return std::clamp(nanos, -kMaxNanos, kMaxNanos); }

// The quotient away from zero.
Int128 DivideUp(Int128 a, Int128 b) {
  const Int128 q = a / b;
  if (q * b == a) return q;
  return a < 0 ? q - 1 : q + 1;
}

// The digits with the point in their midst times 10^exponent10 (or 2^exponent2), in nanos and
// rounded up; beyond the range: its end.
Int128 Scale(std::string_view whole, std::string_view fraction, int exponent10, int exponent2) {
  // 38 digits are what 128 bits hold: more of the fraction than that is below a nano or far above
  // the range, but whether there was anything counts for the rounding.
  Int128 value = 0;
  bool rest = false;
  int exponent = exponent10 + 9;
  bool huge = false;
  auto add = [&](char c) {
    if (value > kMaxNanos) return false;
    value = value * 10 + (c - '0');
    return true;
  };
  for (char c : whole) {
    if (!add(c)) {
      ++exponent;
      rest = rest || c != '0';
    }
  }
  for (char c : fraction) {
    if (add(c)) {
      --exponent;
    } else {
      rest = rest || c != '0';
    }
  }
  for (int i = 0; i < exponent2 && !huge; i += 10) {
    // First take tens out, so that what fits the range fits on the way.
    while (value > (Int128{1} << 115) && exponent < 0) {
      rest = rest || value % 10 != 0;
      value /= 10;
      ++exponent;
    }
    if (value > (Int128{1} << 115)) {
      huge = true;
    } else {
      value <<= 10;
    }
  }
  for (; exponent > 0 && value != 0 && !huge; --exponent) {
    if (value > kMaxNanos) huge = true;
    value *= huge ? 1 : 10;
  }
  for (; exponent < 0 && value != 0 && !huge; ++exponent) {
    rest = rest || value % 10 != 0;
    value /= 10;
    if (value == 0) break;
  }
  if (huge) return kMaxNanos;
  if (rest) value += 1;
  return std::min(value, kMaxNanos);
}

std::string Text(Int128 value) {
  if (value == 0) return "0";
  std::string out;
  const bool negative = value < 0;
  for (Int128 left = negative ? -value : value; left > 0; left /= 10) {
    out += static_cast<char>('0' + static_cast<int>(left % 10));
  }
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

int64_t ToInt64(Int128 value) {
  return static_cast<int64_t>(
      std::clamp<Int128>(value, std::numeric_limits<int64_t>::min(), kMaxUnits));
}

}  // namespace

Quantity Quantity::FromInt(int64_t units, Format format) {
  Quantity q;
  q.nanos_ = Clamp(Int128{units} * kNano);
  q.format_ = format;
  return q;
}

Quantity Quantity::FromMilli(int64_t thousandths, Format format) {
  Quantity q;
  q.nanos_ = Int128{thousandths} * (kNano / 1000);
  q.format_ = format;
  return q;
}

absl::StatusOr<Quantity> Quantity::Parse(std::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError(kFormatWrong);
  size_t at = 0;
  const bool negative = text[0] == '-';
  if (text[0] == '-' || text[0] == '+') ++at;
  size_t begin = at;
  while (at < text.size() && IsDigit(text[at])) ++at;
  const std::string_view whole = text.substr(begin, at - begin);
  std::string_view fraction;
  if (at < text.size() && text[at] == '.') {
    begin = ++at;
    while (at < text.size() && IsDigit(text[at])) ++at;
    fraction = text.substr(begin, at - begin);
  }
  if (at < text.size() && text[at] == '.') return absl::InvalidArgumentError(kNumericWrong);
  if (whole.empty() && fraction.empty()) return absl::InvalidArgumentError(kFormatWrong);
  const std::string_view suffix = text.substr(at);
  if (suffix.find_first_not_of("eEinumkKMGTP+-0123456789") != std::string_view::npos) {
    return absl::InvalidArgumentError(kFormatWrong);
  }

  Quantity q;
  int exponent10 = 0;
  int exponent2 = 0;
  bool known = false;
  for (const Suffix& s : kDecimalSuffixes) {
    if (s.text == suffix) {
      exponent10 = s.exponent;
      known = true;
    }
  }
  for (const Suffix& s : kBinarySuffixes) {
    if (s.text == suffix) {
      exponent2 = s.exponent;
      q.format_ = Format::kBinary;
      known = true;
    }
  }
  if (!known && suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E')) {
    size_t i = 1;
    const bool minus = suffix[i] == '-';
    if (suffix[i] == '-' || suffix[i] == '+') ++i;
    known = i < suffix.size();
    for (; i < suffix.size() && known; ++i) {
      known = IsDigit(suffix[i]);
      if (exponent10 < 1000) exponent10 = exponent10 * 10 + (suffix[i] - '0');
    }
    if (minus) exponent10 = -exponent10;
    q.format_ = Format::kExponent;
  }
  if (!known) return absl::InvalidArgumentError(kSuffixWrong);
  const Int128 nanos = Scale(whole, fraction, exponent10, exponent2);
  q.nanos_ = negative ? -nanos : nanos;
  return q;
}

absl::StatusOr<Quantity> Quantity::FromJson(const json::value& value) {
  if (const json::string* text = value.if_string()) return Parse(View(*text));
  if (const double* number = value.if_double()) {
    char text[400];
    std::snprintf(text, sizeof text, "%.9f", *number);  // no exponent: that would be a format
    return Parse(std::string_view(text));
  }
  if (value.is_int64()) return FromInt(value.get_int64());
  if (value.is_number()) return Parse(ToJson(value));
  return absl::InvalidArgumentError(kFormatWrong);
}

Quantity Quantity::Of(const json::value& value) {
  auto parsed = FromJson(value);
  return parsed.ok() ? *parsed : Quantity();
}

int64_t Quantity::Value() const { return ToInt64(DivideUp(nanos_, kNano)); }
int64_t Quantity::MilliValue() const { return ToInt64(DivideUp(nanos_, kNano / 1000)); }
double Quantity::AsDouble() const { return static_cast<double>(nanos_) / kNano; }

std::string Quantity::ToString() const {
  if (nanos_ == 0) return "0";
  const Int128 size = nanos_ < 0 ? -nanos_ : nanos_;
  if (format_ == Format::kBinary && size >= Int128{1024} * kNano) {
    Int128 units = DivideUp(nanos_, kNano);
    size_t suffix = 0;
    while (suffix < std::size(kBinarySuffixes) && units % 1024 == 0) {
      units /= 1024;
      ++suffix;
    }
    return Text(units) + std::string(suffix == 0 ? "" : kBinarySuffixes[suffix - 1].text);
  }
  Int128 mantissa = nanos_;
  size_t suffix = 0;
  while (suffix + 1 < std::size(kDecimalSuffixes) && mantissa % 1000 == 0) {
    mantissa /= 1000;
    ++suffix;
  }
  if (format_ == Format::kExponent) {
    const int exponent = kDecimalSuffixes[suffix].exponent;
    return exponent == 0 ? Text(mantissa) : base::StrCat(Text(mantissa), "e", exponent);
  }
  return Text(mantissa) + std::string(kDecimalSuffixes[suffix].text);
}

Quantity& Quantity::operator+=(const Quantity& other) {
  if (IsZero()) format_ = other.format_;
  nanos_ = Clamp(nanos_ + other.nanos_);
  return *this;
}

Quantity& Quantity::operator-=(const Quantity& other) {
  if (IsZero()) format_ = other.format_;
  nanos_ = Clamp(nanos_ - other.nanos_);
  return *this;
}

}  // namespace keel::orchestrator
