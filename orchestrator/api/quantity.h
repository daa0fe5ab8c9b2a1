// Kubernetes' quantities: "100m", "1.5", "2Gi", "1e3".
//
//   KEEL_ASSIGN_OR_RETURN(Quantity cpu, Quantity::Parse("1.5"));
//   cpu += Quantity::FromMilli(500);
//   cpu.ToString()      // "2"
//   cpu.MilliValue()    // 2000
//
// Exact down to a billionth; what is finer is rounded up, what is more than 2^63-1 (or less than
// -2^63+1) units is cut to that, as Kubernetes does. The canonical text keeps the family of
// suffixes in which it was written: "1024Mi" is "1Gi", "1000M" is "1G". Thread-safe as an int is.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

class Quantity {
 public:
  enum class Format : uint8_t { kDecimal, kBinary, kExponent };

  Quantity() = default;
  static Quantity FromInt(int64_t units, Format format = Format::kDecimal);
  static Quantity FromMilli(int64_t thousandths, Format format = Format::kDecimal);
  // InvalidArgument in Kubernetes' words.
  static absl::StatusOr<Quantity> Parse(std::string_view text);
  // Of a string or a number; nothing else is one.
  static absl::StatusOr<Quantity> FromJson(const json::value& value);
  // Zero where FromJson fails: for values that have been checked.
  static Quantity Of(const json::value& value);

  // Rounded up (away from zero), cut to the range of int64.
  int64_t Value() const;
  int64_t MilliValue() const;
  double AsDouble() const;
  bool IsZero() const { return nanos_ == 0; }
  int Sign() const { return nanos_ < 0 ? -1 : nanos_ > 0 ? 1 : 0; }
  Format format() const { return format_; }
  std::string ToString() const;

  // The sum keeps this one's format, unless this one is zero.
  Quantity& operator+=(const Quantity& other);
  Quantity& operator-=(const Quantity& other);
  friend Quantity operator+(Quantity a, const Quantity& b) { return a += b; }
  friend Quantity operator-(Quantity a, const Quantity& b) { return a -= b; }
  // By amount alone: "1Gi" equals "1024Mi".
  friend bool operator==(const Quantity& a, const Quantity& b) { return a.nanos_ == b.nanos_; }
  friend std::strong_ordering operator<=>(const Quantity& a, const Quantity& b) {
    return a.nanos_ < b.nanos_   ? std::strong_ordering::less
           : a.nanos_ > b.nanos_ ? std::strong_ordering::greater
                                 : std::strong_ordering::equal;
  }

 private:
  __extension__ using Int128 = __int128;
  Int128 nanos_ = 0;
  Format format_ = Format::kDecimal;
};

}  // namespace keel::orchestrator
