#include "bench/json_text.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace keel::bench {
namespace {

std::string Number(double number) {
  if (!std::isfinite(number)) return "null";  // JSON has no other word for it
  std::string text = absl::StrFormat("%.3f", number);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

}  // namespace

std::string JsonText(const boost::json::value& value) {
  std::string text;
  if (const auto* object = value.if_object()) {
    for (const auto& [key, member] : *object) {
      text += text.empty() ? "{" : ",";
      text += boost::json::serialize(key) + ":" + JsonText(member);
    }
    return text.empty() ? "{}" : text + "}";
  }
  if (const auto* array = value.if_array()) {
    for (const boost::json::value& element : *array) {
      text += text.empty() ? "[" : ",";
      text += JsonText(element);
    }
    return text.empty() ? "[]" : text + "]";
  }
  if (const auto* number = value.if_double()) return Number(*number);
  return boost::json::serialize(value);
}

}  // namespace keel::bench
