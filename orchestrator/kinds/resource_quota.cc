#include <map>

#include "base/strings.h"
#include "orchestrator/api/names.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {
namespace {

// "pods: 1/10, ..." of the resources that are limits, or of all others.
Column UsageColumn(std::string name, bool limits) {
  return CellColumn(std::move(name), "string", 0,
                    [limits](const json::object& object, absl::Time) -> json::value {
                      const json::object& used = ObjectAt(object, {"status", "used"});
                      std::map<std::string_view, std::string> shown;
                      for (const auto& [key, hard] : ObjectAt(object, {"status", "hard"})) {
                        const std::string_view resource(key);
                        if (resource.starts_with("limits.") != limits) continue;
                        const json::value* now = used.if_contains(key);
                        shown[resource] = base::StrCat(
                            resource, ": ", now == nullptr ? "0" : Quantity::Of(*now).ToString(),
                            "/", Quantity::Of(hard).ToString());
                      }
                      std::string out;
                      for (const auto& [resource, text] : shown) {
                        out += (out.empty() ? "" : ", ") + text;
                      }
                      return json::value(out);
                    });
}

void Check(const json::object& object, FieldErrors& errors) {
  for (const auto& [key, value] : ObjectAt(object, {"spec", "hard"})) {
    const std::string field = base::StrCat("spec.hard[", std::string_view(key), "]");
    AddComplaints(CheckQualifiedName(key), field, json::value(key), errors);
    const auto quantity = Quantity::FromJson(value);
    if (!quantity.ok()) continue;
    if (quantity->Sign() < 0) {
      errors.InvalidValue(field, json::value(quantity->ToString()), kNotNegative);
    }
    const bool counts = key == "pods" || key == "services" || key == "secrets" ||
                        key == "configmaps" || key == "persistentvolumeclaims" ||
                        key == "replicationcontrollers" || key == "resourcequotas" ||
                        std::string_view(key).starts_with("count/");
    if (counts && quantity->MilliValue() % 1000 != 0) {
      errors.InvalidValue(field, json::value(quantity->ToString()), "must be an integer");
    }
  }
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  if (ArrayAt(object, {"spec", "scopes"}) != ArrayAt(before, {"spec", "scopes"})) {
    errors.InvalidValue("spec.scopes", ArrayAt(object, {"spec", "scopes"}), kImmutable);
  }
}

}  // namespace

Kind ResourceQuotaKind() {
  return {
      .version = "v1",
      .kind = "ResourceQuota",
      .plural = "resourcequotas",
      .short_names = {"quota"},
      .types = R"(
# How much a namespace may use in all.
ResourceQuota {
  spec    ResourceQuotaSpec    -- What may be used.
  status  ResourceQuotaStatus  -- What is used.
}
# What may be used.
ResourceQuotaSpec {
  hard           {quantity}       -- How much of each resource.
  scopes         [string] atomic  -- Only objects of these scopes are counted.
  scopeSelector  ScopeSelector    -- The same, as a selector.
}
# Scopes by requirements.
ScopeSelector atomic {
  matchExpressions  [ScopedResourceSelectorRequirement] atomic  -- All must hold.
}
# A scope, an operator and values.
ScopedResourceSelectorRequirement {
  scopeName!  string           -- The scope.
  operator!   string           -- In, NotIn, Exists or DoesNotExist.
  values      [string] atomic  -- What In and NotIn compare with.
}
# What is used.
ResourceQuotaStatus {
  hard  {quantity}  -- What may be used, as it is kept to.
  used  {quantity}  -- What is used.
}
)",
      .columns = {UsageColumn("Request", false), UsageColumn("Limit", true), AgeColumn()},
      .has_status = true,
      .prepare = [](json::object& object,
                    const json::object* before) { ResetStatus(object, before); },
      .check = Check,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
