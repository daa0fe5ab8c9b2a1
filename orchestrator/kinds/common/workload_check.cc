#include "orchestrator/kinds/common/workload_check.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "base/strings.h"
#include "orchestrator/api/names.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/kinds/common/pod_check.h"

namespace keel::orchestrator {
namespace {

// "25%" → 25; -1 when it is none.
int64_t PercentOf(const json::value& value) {
  const json::string* text = value.if_string();
  if (text == nullptr || text->empty() || text->back() != '%') return -1;
  int64_t n = -1;
  const std::string_view digits = View(*text).substr(0, text->size() - 1);
  for (char c : digits) {
    if (c < '0' || c > '9') return -1;
  }
  return absl::SimpleAtoi(base::ToAbsl(digits), &n) ? n : -1;
}

bool IsZero(const json::value* value) {
  return value != nullptr &&
         ((value->is_int64() && value->get_int64() == 0) || PercentOf(*value) == 0);
}

}  // namespace

std::string Dotted(JsonPath path) {
  std::string out;
  for (std::string_view part : path) {
    if (!out.empty()) out += '.';
    out += part;
  }
  return out;
}

void CheckNotNegative(const json::object& object, JsonPath path, FieldErrors& errors) {
  const json::value* value = Find(object, path);
  if (value != nullptr && value->is_int64() && value->get_int64() < 0) {
    errors.InvalidValue(Dotted(path), *value, kNotNegative);
  }
}

void CheckTemplate(const json::object& object, const TemplateRule& rule, FieldErrors& errors) {
  const json::value* selector = Find(object, {"spec", "selector"});
  const json::value* pod_template = Find(object, {"spec", "template"});
  const json::object& labels = ObjectAt(object, {"spec", "template", "metadata", "labels"});
  if (selector != nullptr && selector->is_object()) {
    LabelSelector wanted;
    if (rule.selector_is_map) {
      wanted = LabelSelector::FromMap(selector->get_object());
    } else {
      CheckLabelSelector(*selector, "spec.selector", errors);
      if (ObjectAt(*selector, {"matchLabels"}).empty() &&
          ArrayAt(*selector, {"matchExpressions"}).empty()) {
        errors.InvalidValue(
            "spec.selector", *selector,
            base::StrCat("empty selector is invalid for ",
                         absl::AsciiStrToLower(base::ToAbsl(StringAt(object, {"kind"})))));
      }
      auto parsed = LabelSelector::FromObject(selector);
      if (parsed.ok()) wanted = *std::move(parsed);
    }
    if (pod_template != nullptr && !wanted.empty() && !wanted.Matches(labels)) {
      errors.InvalidValue("spec.template.metadata.labels", labels,
                          "`selector` does not match template `labels`");
    }
  }
  if (pod_template == nullptr) return;
  CheckPodTemplate(*pod_template, "spec.template", errors);
  const json::value* policy = Find(*pod_template, {"spec", "restartPolicy"});
  if (rule.restart_always && policy != nullptr &&
      StringAt(*pod_template, {"spec", "restartPolicy"}) != "Always") {
    errors.NotSupported("spec.template.spec.restartPolicy", *policy, {"Always"});
  }
  if (rule.deadline_forbidden &&
      Find(*pod_template, {"spec", "activeDeadlineSeconds"}) != nullptr) {
    errors.Forbidden(
        "spec.template.spec.activeDeadlineSeconds",
        base::StrCat("activeDeadlineSeconds in ", StringAt(object, {"kind"}), " is not Supported"));
  }
}

void CheckIntOrPercent(const json::value& value, std::string_view field, bool at_most_100,
                       FieldErrors& errors) {
  if (value.is_int64()) {
    if (value.get_int64() < 0) errors.InvalidValue(field, value, kNotNegative);
    return;
  }
  const int64_t percent = PercentOf(value);
  if (percent < 0) {
    errors.InvalidValue(field, value,
                        "a valid percent string must be a numeric string followed by an ending '%' "
                        "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')");
  } else if (at_most_100 && percent > 100) {
    errors.InvalidValue(field, value, "must not be greater than 100%");
  }
}

void CheckRollingUpdate(const json::object& object, JsonPath path, FieldErrors& errors) {
  const json::value* rolling = Find(object, path);
  if (rolling == nullptr) return;
  const std::string field = Dotted(path);
  const json::value* unavailable = Find(*rolling, {"maxUnavailable"});
  const json::value* surge = Find(*rolling, {"maxSurge"});
  if (unavailable != nullptr) {
    CheckIntOrPercent(*unavailable, field + ".maxUnavailable", true, errors);
  }
  if (surge != nullptr) CheckIntOrPercent(*surge, field + ".maxSurge", false, errors);
  if (IsZero(unavailable) && IsZero(surge)) {
    errors.InvalidValue(field + ".maxUnavailable", *unavailable,
                        "may not be 0 when `maxSurge` is 0");
  }
}

}  // namespace keel::orchestrator
