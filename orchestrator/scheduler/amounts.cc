#include "orchestrator/scheduler/amounts.h"

#include <cmath>
#include <cstdlib>

namespace keel::orchestrator::sched {
namespace {

// 0 when the suffix is unknown.
long double Factor(std::string_view suffix) {
  static constexpr struct {
    std::string_view suffix;
    long double factor;
  } kFactors[] = {{"", 1},         {"n", 1e-9L},    {"u", 1e-6L},    {"m", 1e-3L},
                  {"k", 1e3L},     {"M", 1e6L},     {"G", 1e9L},     {"T", 1e12L},
                  {"P", 1e15L},    {"E", 1e18L},    {"Ki", 0x1p10L}, {"Mi", 0x1p20L},
                  {"Gi", 0x1p30L}, {"Ti", 0x1p40L}, {"Pi", 0x1p50L}, {"Ei", 0x1p60L}};
  for (const auto& known : kFactors) {
    if (known.suffix == suffix) return known.factor;
  }
  return 0;
}

int64_t Clamped(long double amount) {
  if (amount >= 0x1p62L) return int64_t{1} << 62;
  if (amount <= -0x1p62L) return -(int64_t{1} << 62);
  return static_cast<int64_t>(std::ceil(amount));
}

}  // namespace

int64_t AmountOf(const json::value& value, int64_t scale) {
  if (value.is_int64()) return Clamped(static_cast<long double>(value.get_int64()) * scale);
  if (value.is_uint64()) return Clamped(static_cast<long double>(value.get_uint64()) * scale);
  if (value.is_double()) return Clamped(static_cast<long double>(value.get_double()) * scale);
  const json::string* text = value.if_string();
  if (text == nullptr) return 0;
  const std::string digits(View(*text));
  // The number ends where a suffix begins; "1E" is a suffix, "1E3" an exponent.
  size_t end = digits.find_first_not_of("+-.0123456789");
  if (end == std::string::npos) end = digits.size();
  if (end + 1 < digits.size() && (digits[end] == 'e' || digits[end] == 'E') &&
      digits.find_first_not_of("+-0123456789", end + 1) == std::string::npos) {
    end = digits.size();
  }
  if (end == 0) return 0;
  const long double number = std::strtold(digits.substr(0, end).c_str(), nullptr);
  // Decimal fractions of the number have no exact form: what is a hair above a whole is the whole.
  const long double amount =
      number * Factor(std::string_view(digits).substr(end)) * static_cast<long double>(scale);
  const long double nearest = std::round(amount);
  return Clamped(std::fabs(amount - nearest) < 1e-9L ? nearest : amount);
}

Resources ParseResources(const json::object& amounts, Vocabulary& words) {
  Resources out;
  for (const auto& [name, value] : amounts) {
    const size_t resource = words.Resource({name.data(), name.size()});
    out.Set(resource, AmountOf(value, resource == kCpu ? 1000 : 1));
  }
  return out;
}

std::string NormalizedImage(std::string_view image) {
  const size_t name = image.rfind('/');
  const size_t mark = image.find_first_of(":@", name == std::string_view::npos ? 0 : name);
  return mark == std::string_view::npos ? std::string(image) + ":latest" : std::string(image);
}

}  // namespace keel::orchestrator::sched
