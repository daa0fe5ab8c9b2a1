#include "orchestrator/scheduler/amounts.h"

#include <algorithm>

#include "base/check.h"
#include "orchestrator/api/quantity.h"

namespace keel::orchestrator::sched {

int64_t AmountOf(const json::value& value, int64_t scale) {
  KEEL_CHECK(scale == 1 || scale == 1000, scale);
  constexpr int64_t kMost = int64_t{1} << 62;  // two of them can be added
  const Quantity quantity = Quantity::Of(value);
  return std::clamp(scale == 1 ? quantity.Value() : quantity.MilliValue(), -kMost, kMost);
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
