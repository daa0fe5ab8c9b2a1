#include "base/strings.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"

namespace keel::orchestrator {
namespace {

// Of containers: what is the most is the default limit, that is the default request, and so is what
// is the least.
void SetItemDefaults(json::object& item) {
  if (StringAt(item, {"type"}) != "Container") return;
  auto fill = [&](const char* from, const char* to) {
    const json::object source = ObjectAt(item, {from});
    if (source.empty()) return;
    json::value& target = item[to];
    if (!target.is_object()) target = json::object();
    for (const auto& [key, value] : source) {
      if (!target.get_object().contains(key)) target.get_object()[key] = value;
    }
  };
  fill("max", "default");
  fill("default", "defaultRequest");
  fill("min", "defaultRequest");
}

void SetDefaults(json::object& object) {
  json::array* limits = ArrayIn(object, {"spec", "limits"});
  if (limits == nullptr) return;
  for (json::value& item : *limits) {
    if (item.is_object()) SetItemDefaults(item.get_object());
  }
}

struct Rule {
  const char* low;
  const char* low_name;
  const char* high;
  const char* high_name;
};
constexpr Rule kRules[] = {{"min", "min", "max", "max"},
                           {"min", "min", "defaultRequest", "default request"},
                           {"min", "min", "default", "default"},
                           {"defaultRequest", "default request", "max", "max"},
                           {"default", "default", "max", "max"},
                           {"defaultRequest", "default request", "default", "default"}};

void Check(const json::object& object, FieldErrors& errors) {
  size_t i = 0;
  for (const json::value& item : ArrayAt(object, {"spec", "limits"})) {
    const std::string field = base::StrCat("spec.limits[", i++, "]");
    if (StringAt(item, {"type"}) == "Pod") {
      for (const char* member : {"default", "defaultRequest"}) {
        if (!ObjectAt(item, {member}).empty()) {
          errors.Forbidden(base::StrCat(field, ".", member),
                           "may not be specified when `type` is 'Pod'");
        }
      }
    }
    for (const Rule& rule : kRules) {
      const json::object& highs = ObjectAt(item, {rule.high});
      for (const auto& [key, low] : ObjectAt(item, {rule.low})) {
        const json::value* high = highs.if_contains(key);
        if (high == nullptr) continue;
        const Quantity least = Quantity::Of(low);
        const Quantity most = Quantity::Of(*high);
        if (least > most) {
          errors.InvalidValue(
              base::StrCat(field, ".", rule.low, "[", std::string_view(key), "]"),
              json::value(least.ToString()),
              base::StrCat(rule.low_name, " value ", least.ToString(), " is greater than ",
                           rule.high_name, " value ", most.ToString()));
        }
      }
    }
  }
}

}  // namespace

Kind LimitRangeKind() {
  return {
      .version = "v1",
      .kind = "LimitRange",
      .plural = "limitranges",
      .short_names = {"limits"},
      .types = R"(
# Bounds and defaults for the resources of each object of a namespace.
LimitRange {
  spec  LimitRangeSpec  -- The bounds.
}
# The bounds of a LimitRange.
LimitRangeSpec {
  limits!  [LimitRangeItem] atomic  -- The bounds of each type.
}
# The bounds of one type of object.
LimitRangeItem {
  type!                 string      -- Pod, Container or PersistentVolumeClaim.
  max                   {quantity}  -- The most.
  min                   {quantity}  -- The least.
  default               {quantity}  -- The limit where none is given.
  defaultRequest        {quantity}  -- The request where none is given.
  maxLimitRequestRatio  {quantity}  -- How much the limit may exceed the request.
}
)",
      .columns = {TextColumn("Created At", {"metadata", "creationTimestamp"})},
      .can_create_by_update = true,
      .set_defaults = SetDefaults,
      .check = Check,
  };
}

}  // namespace keel::orchestrator
