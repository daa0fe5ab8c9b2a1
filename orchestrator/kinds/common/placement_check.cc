#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {
namespace {

void CheckRequirement(const json::value& requirement, const std::string& path, bool of_labels,
                      FieldErrors& errors) {
  const std::string_view op = StringAt(requirement, {"operator"});
  const json::array& values = ArrayAt(requirement, {"values"});
  if (op == "In" || op == "NotIn") {
    if (values.empty()) {
      errors.Required(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'");
    }
  } else if (op == "Exists" || op == "DoesNotExist") {
    if (!values.empty()) {
      errors.Forbidden(path + ".values",
                       "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    }
  } else if (op == "Gt" || op == "Lt") {
    if (values.size() != 1) {
      errors.Required(path + ".values",
                      "must be specified single value when `operator` is 'Lt' or 'Gt'");
    }
  } else {
    errors.InvalidValue(path + ".operator", json::value(op), "not a valid selector operator");
  }
  const std::string_view key = StringAt(requirement, {"key"});
  if (of_labels) {
    AddComplaints(CheckQualifiedName(key), path + ".key", json::value(key), errors);
  } else if (key != "metadata.name") {
    errors.InvalidValue(path + ".key", json::value(key), "not a valid field selector key");
  }
}

void CheckNodeTerm(const json::value& term, const std::string& path, FieldErrors& errors) {
  for (std::string_view member : {"matchExpressions", "matchFields"}) {
    size_t i = 0;
    for (const json::value& one : ArrayAt(term, {member})) {
      CheckRequirement(one, base::StrCat(path, ".", member, "[", i++, "]"),
                       member == "matchExpressions", errors);
    }
  }
}

void CheckWeight(const json::value& term, const std::string& path, FieldErrors& errors) {
  const int64_t weight = IntAt(term, {"weight"});
  if (weight < 1 || weight > 100) {
    errors.InvalidValue(path + ".weight", weight, "must be in the range 1-100");
  }
}

void CheckPodTerm(const json::value& term, const std::string& path, FieldErrors& errors) {
  for (std::string_view member : {"labelSelector", "namespaceSelector"}) {
    if (const json::value* selector = Find(term, {member})) {
      CheckLabelSelector(*selector, base::StrCat(path, ".", member), errors);
    }
  }
  size_t i = 0;
  for (const json::value& ns : ArrayAt(term, {"namespaces"})) {
    const std::string_view name = ns.is_string() ? View(ns.get_string()) : std::string_view();
    AddComplaints(CheckDns1123Label(name), base::StrCat(path, ".namespaces[", i++, "]"), ns,
                  errors);
  }
  const std::string_view key = StringAt(term, {"topologyKey"});
  if (key.empty()) {
    errors.Required(path + ".topologyKey", "can not be empty");
  } else {
    AddComplaints(CheckQualifiedName(key), path + ".topologyKey", json::value(key), errors);
  }
}

constexpr char kRequired[] = "requiredDuringSchedulingIgnoredDuringExecution";
constexpr char kPreferred[] = "preferredDuringSchedulingIgnoredDuringExecution";

}  // namespace

void CheckNodeSelector(const json::value& selector, const std::string& path, FieldErrors& errors) {
  const json::array& terms = ArrayAt(selector, {"nodeSelectorTerms"});
  if (terms.empty()) {
    errors.Required(path + ".nodeSelectorTerms", "must have at least one node selector term");
  }
  size_t i = 0;
  for (const json::value& term : terms) {
    CheckNodeTerm(term, base::StrCat(path, ".nodeSelectorTerms[", i++, "]"), errors);
  }
}

void CheckAffinity(const json::value& affinity, const std::string& path, FieldErrors& errors) {
  if (const json::value* node = Find(affinity, {"nodeAffinity"})) {
    const std::string field = path + ".nodeAffinity";
    if (const json::value* required = Find(*node, {kRequired})) {
      CheckNodeSelector(*required, base::StrCat(field, ".", kRequired), errors);
    }
    size_t i = 0;
    for (const json::value& term : ArrayAt(*node, {kPreferred})) {
      const std::string inner = base::StrCat(field, ".", kPreferred, "[", i++, "]");
      CheckWeight(term, inner, errors);
      if (const json::value* preference = Find(term, {"preference"})) {
        CheckNodeTerm(*preference, inner + ".preference", errors);
      }
    }
  }
  for (std::string_view member : {"podAffinity", "podAntiAffinity"}) {
    const json::value* pods = Find(affinity, {member});
    if (pods == nullptr) continue;
    const std::string field = base::StrCat(path, ".", member);
    size_t i = 0;
    for (const json::value& term : ArrayAt(*pods, {kRequired})) {
      CheckPodTerm(term, base::StrCat(field, ".", kRequired, "[", i++, "]"), errors);
    }
    i = 0;
    for (const json::value& term : ArrayAt(*pods, {kPreferred})) {
      const std::string inner = base::StrCat(field, ".", kPreferred, "[", i++, "]");
      CheckWeight(term, inner, errors);
      if (const json::value* pod_term = Find(term, {"podAffinityTerm"})) {
        CheckPodTerm(*pod_term, inner + ".podAffinityTerm", errors);
      }
    }
  }
}

void CheckTolerations(const json::array& tolerations, const std::string& path,
                      FieldErrors& errors) {
  size_t i = 0;
  for (const json::value& toleration : tolerations) {
    const std::string field = base::StrCat(path, "[", i++, "]");
    const std::string_view key = StringAt(toleration, {"key"});
    const std::string_view op = StringAt(toleration, {"operator"});
    const std::string_view effect = StringAt(toleration, {"effect"});
    const json::value* value = Find(toleration, {"value"});
    if (!key.empty()) {
      AddComplaints(CheckQualifiedName(key), field + ".key", json::value(key), errors);
    } else if (op != "Exists") {
      errors.InvalidValue(field + ".operator", json::value(op),
                          "operator must be Exists when `key` is empty, which means \"match all "
                          "values and all keys\"");
    }
    if (Find(toleration, {"tolerationSeconds"}) != nullptr && effect != "NoExecute") {
      errors.InvalidValue(field + ".effect", json::value(effect),
                          "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (op.empty() || op == "Equal") {
      if (value != nullptr) {
        AddComplaints(CheckLabelValue(StringAt(toleration, {"value"})), field + ".operator", *value,
                      errors);
      }
    } else if (op == "Exists") {
      if (!StringAt(toleration, {"value"}).empty()) {
        errors.InvalidValue(field + ".operator", toleration,
                            "value must be empty when `operator` is 'Exists'");
      }
    } else {
      errors.NotSupported(field + ".operator", json::value(op), {"Equal", "Exists"});
    }
    if (!effect.empty() && effect != "NoSchedule" && effect != "PreferNoSchedule" &&
        effect != "NoExecute") {
      errors.NotSupported(field + ".effect", json::value(effect),
                          {"NoSchedule", "PreferNoSchedule", "NoExecute"});
    }
  }
}

void CheckTopologySpread(const json::array& constraints, const std::string& path,
                         FieldErrors& errors) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  size_t i = 0;
  for (const json::value& constraint : constraints) {
    const std::string field = base::StrCat(path, "[", i++, "]");
    const int64_t skew = IntAt(constraint, {"maxSkew"});
    if (skew <= 0) errors.InvalidValue(field + ".maxSkew", skew, "must be greater than 0");
    const std::string_view key = StringAt(constraint, {"topologyKey"});
    if (key.empty()) {
      errors.Required(field + ".topologyKey", "can not be empty");
    } else {
      AddComplaints(CheckQualifiedName(key), field + ".topologyKey", json::value(key), errors);
    }
    const std::string_view when = StringAt(constraint, {"whenUnsatisfiable"});
    if (when != "DoNotSchedule" && when != "ScheduleAnyway") {
      errors.NotSupported(field + ".whenUnsatisfiable", json::value(when),
                          {"DoNotSchedule", "ScheduleAnyway"});
    }
    if (!seen.emplace(key, when).second) {
      errors.Duplicate(base::StrCat(field, ".{topologyKey, whenUnsatisfiable}"),
                       json::value(base::StrCat("{", key, ", ", when, "}")));
    }
    if (const json::value* least = Find(constraint, {"minDomains"});
        least != nullptr && least->is_int64()) {
      if (least->get_int64() <= 0) {
        errors.InvalidValue(field + ".minDomains", *least, "must be greater than 0");
      } else if (when != "DoNotSchedule") {
        errors.InvalidValue(field + ".minDomains", *least,
                            base::StrCat("can only use minDomains if whenUnsatisfiable="
                                         "DoNotSchedule, not ",
                                         when));
      }
    }
    for (std::string_view member : {"nodeAffinityPolicy", "nodeTaintsPolicy"}) {
      const std::string_view policy = StringAt(constraint, {member});
      if (!policy.empty() && policy != "Honor" && policy != "Ignore") {
        errors.NotSupported(base::StrCat(field, ".", member), json::value(policy),
                            {"Honor", "Ignore"});
      }
    }
    if (const json::value* selector = Find(constraint, {"labelSelector"})) {
      CheckLabelSelector(*selector, field + ".labelSelector", errors);
    }
  }
}

}  // namespace keel::orchestrator
