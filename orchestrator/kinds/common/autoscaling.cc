#include "orchestrator/kinds/common/autoscaling.h"

#include "base/strings.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {

const char kAutoscalingTypes[] = R"(
# Names what is scaled.
CrossVersionObjectReference atomic {
  kind!       string  -- Kind of the object.
  name!       string  -- Name of the object.
  apiVersion  string  -- API version of the object.
}
)";

namespace {

const json::object& SourceOf(const json::value& metric) {
  const std::string_view type = StringAt(metric, {"type"});
  if (type == "Resource") return ObjectAt(metric, {"resource"});
  if (type == "ContainerResource") return ObjectAt(metric, {"containerResource"});
  if (type == "Pods") return ObjectAt(metric, {"pods"});
  if (type == "Object") return ObjectAt(metric, {"object"});
  return ObjectAt(metric, {"external"});
}

std::string_view NameOfMetric(const json::object& source) {
  const std::string_view name = StringAt(source, {"name"});
  return name.empty() ? StringAt(source, {"metric", "name"}) : name;
}

// "50%" or "200m": of a target or of a current value.
std::string ValueText(const json::value* value) {
  if (value == nullptr) return "<unknown>";
  if (const json::value* percent = Find(*value, {"averageUtilization"});
      percent != nullptr && !percent->is_null()) {
    return base::StrCat(ToJson(*percent), "%");
  }
  for (const char* member : {"averageValue", "value"}) {
    if (const json::value* amount = Find(*value, {member})) {
      return Quantity::Of(*amount).ToString() + (member[0] == 'a' ? " (avg)" : "");
    }
  }
  return "<unknown>";
}

}  // namespace

std::string AutoscalerTargetsText(const json::object& autoscaler) {
  constexpr size_t kShown = 2;
  const json::array& metrics = ArrayAt(autoscaler, {"spec", "metrics"});
  const json::array& current = ArrayAt(autoscaler, {"status", "currentMetrics"});
  if (metrics.empty()) return "<none>";
  std::string out;
  for (size_t i = 0; i < metrics.size() && i < kShown; ++i) {
    const json::object& source = SourceOf(metrics[i]);
    const json::value* now = nullptr;
    if (i < current.size() && !current[i].is_null()) {
      now = Find(SourceOf(current[i]), {"current"});
    }
    const bool resource = StringAt(metrics[i], {"type"}).ends_with("Resource");
    const json::value* target = Find(source, {"target"});
    std::string is = ValueText(now);
    std::string wanted = ValueText(target);
    if (resource || StringAt(metrics[i], {"type"}) == "Pods") {
      // Resources and pods' metrics are averages anyhow.
      for (std::string* text : {&is, &wanted}) {
        if (text->ends_with(" (avg)")) text->resize(text->size() - 6);
      }
      // Of a resource with a target in amounts the amount is shown, not the share.
      if (now != nullptr && target != nullptr && Find(*target, {"averageUtilization"}) == nullptr &&
          Find(*now, {"averageValue"}) != nullptr) {
        is = Quantity::Of(*Find(*now, {"averageValue"})).ToString();
      }
    }
    // What is an average is said once, behind the target.
    if (is.ends_with(" (avg)")) is.resize(is.size() - 6);
    if (!out.empty()) out += ", ";
    if (resource) out += base::StrCat(NameOfMetric(source), ": ");
    out += base::StrCat(is, "/", wanted);
  }
  if (metrics.size() > kShown) out += base::StrCat(" + ", metrics.size() - kShown, " more...");
  return out;
}

void CheckAutoscaler(const json::object& autoscaler, FieldErrors& errors) {
  const json::value* spec = Find(autoscaler, {"spec"});
  if (spec == nullptr) return;
  const int64_t least = IntAt(*spec, {"minReplicas"}, 1);
  const int64_t most = IntAt(*spec, {"maxReplicas"});
  if (least < 1) {
    errors.InvalidValue("spec.minReplicas", least, "must be greater than or equal to 1");
  }
  if (most < 1) {
    errors.InvalidValue("spec.maxReplicas", most, "must be greater than 0");
  } else if (most < least) {
    errors.InvalidValue("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`");
  }
  for (const char* member : {"kind", "name"}) {
    if (const json::value* target = Find(*spec, {"scaleTargetRef"})) {
      if (RequireText(*target, member, "spec.scaleTargetRef", errors)) {
        AddComplaints(CheckPathSegment(StringAt(*target, {member})),
                      base::StrCat("spec.scaleTargetRef.", member), *Find(*target, {member}),
                      errors);
      }
    }
  }
  size_t i = 0;
  for (const json::value& metric : ArrayAt(*spec, {"metrics"})) {
    const std::string field = base::StrCat("spec.metrics[", i++, "]");
    const std::string_view type = StringAt(metric, {"type"});
    const bool is_object = type == "Object";
    if (type != "Resource" && type != "ContainerResource" && type != "Pods" && !is_object &&
        type != "External") {
      errors.NotSupported(field + ".type", json::value(type),
                          {"ContainerResource", "External", "Object", "Pods", "Resource"});
      continue;
    }
    const json::object& source = SourceOf(metric);
    if (source.empty()) {
      std::string member(type);
      member[0] = static_cast<char>(member[0] + 32);
      errors.Required(base::StrCat(field, ".", member),
                      "must populate information for the given metric source");
      continue;
    }
    if (const json::value* percent = Find(source, {"target", "averageUtilization"});
        percent != nullptr && percent->is_int64() && percent->get_int64() < 1) {
      errors.InvalidValue(field + ".target.averageUtilization", *percent, "must be greater than 0");
    }
  }
}

}  // namespace keel::orchestrator
