#include "orchestrator/kinds/common/pod_check.h"

#include <algorithm>

#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {
namespace {

void CheckSubdomain(const json::object& spec, std::string_view member, std::string_view path,
                    FieldErrors& errors) {
  const std::string_view name = StringAt(spec, {member});
  if (name.empty()) return;
  AddComplaints(CheckDns1123Subdomain(name), base::StrCat(path, ".", member), json::value(name),
                errors);
}

void CheckNames(const json::object& spec, std::string_view path, FieldErrors& errors) {
  for (std::string_view member :
       {"nodeName", "serviceAccountName", "priorityClassName", "runtimeClassName"}) {
    CheckSubdomain(spec, member, path, errors);
  }
  for (std::string_view member : {"hostname", "subdomain"}) {
    if (const std::string_view name = StringAt(spec, {member}); !name.empty()) {
      AddComplaints(CheckDns1123Label(name), base::StrCat(path, ".", member), json::value(name),
                    errors);
    }
  }
  size_t i = 0;
  for (const json::value& alias : ArrayAt(spec, {"hostAliases"})) {
    const std::string_view ip = StringAt(alias, {"ip"});
    AddComplaints(CheckIp(ip), base::StrCat(path, ".hostAliases[", i++, "].ip"), json::value(ip),
                  errors);
  }
  i = 0;
  for (const json::value& gate : ArrayAt(spec, {"readinessGates"})) {
    const std::string_view type = StringAt(gate, {"conditionType"});
    AddComplaints(CheckQualifiedName(type),
                  base::StrCat(path, ".readinessGates[", i++, "].conditionType"), json::value(type),
                  errors);
  }
  i = 0;
  for (const json::value& gate : ArrayAt(spec, {"schedulingGates"})) {
    const std::string_view name = StringAt(gate, {"name"});
    AddComplaints(CheckQualifiedName(name), base::StrCat(path, ".schedulingGates[", i++, "]"),
                  json::value(name), errors);
  }
}

void CheckNumbers(const json::object& spec, std::string_view path, FieldErrors& errors) {
  const json::value* grace = Find(spec, {"terminationGracePeriodSeconds"});
  if (grace != nullptr && grace->is_int64() && grace->get_int64() < 0) {
    errors.InvalidValue(base::StrCat(path, ".terminationGracePeriodSeconds"), *grace, kNotNegative);
  }
  const json::value* deadline = Find(spec, {"activeDeadlineSeconds"});
  if (deadline != nullptr && deadline->is_int64() &&
      (deadline->get_int64() < 1 || deadline->get_int64() > 2147483647)) {
    errors.InvalidValue(base::StrCat(path, ".activeDeadlineSeconds"), *deadline,
                        "must be between 1 and 2147483647, inclusive");
  }
}

void CheckSecurity(const json::object& spec, std::string_view path, FieldErrors& errors) {
  const std::string field = base::StrCat(path, ".securityContext");
  for (std::string_view member : {"runAsUser", "runAsGroup", "fsGroup"}) {
    const int64_t id = IntAt(spec, {"securityContext", member});
    if (id < 0 || id > 2147483647) {
      errors.InvalidValue(base::StrCat(field, ".", member), id,
                          "must be between 0 and 2147483647, inclusive");
    }
  }
  if (BoolAt(spec, {"shareProcessNamespace"}) && BoolAt(spec, {"hostPID"})) {
    errors.InvalidValue(base::StrCat(path, ".shareProcessNamespace"), true,
                        "ShareProcessNamespace and HostPID cannot both be enabled");
  }
}

void CheckDns(const json::object& spec, std::string_view path, FieldErrors& errors) {
  const json::array& servers = ArrayAt(spec, {"dnsConfig", "nameservers"});
  const std::string field = base::StrCat(path, ".dnsConfig.nameservers");
  if (StringAt(spec, {"dnsPolicy"}) == "None" && servers.empty()) {
    errors.Required(Find(spec, {"dnsConfig"}) == nullptr ? base::StrCat(path, ".dnsConfig") : field,
                    Find(spec, {"dnsConfig"}) == nullptr
                        ? "must provide `dnsConfig` when `dnsPolicy` is None"
                        : "must provide at least one DNS nameserver when `dnsPolicy` is None");
  }
  if (servers.size() > 3) {
    errors.InvalidValue(field, servers, "must not have more than 3 nameservers");
  }
  size_t i = 0;
  for (const json::value& ip : servers) {
    AddComplaints(CheckIp(ip.is_string() ? View(ip.get_string()) : std::string_view()),
                  base::StrCat(field, "[", i++, "]"), ip, errors);
  }
}

// Every old toleration is still there; only its seconds may differ.
bool OnlyAddsTolerations(const json::array& now, const json::array& before) {
  auto without_seconds = [](json::value toleration) {
    Remove(toleration, {"tolerationSeconds"});
    return toleration;
  };
  for (const json::value& old : before) {
    const json::value wanted = without_seconds(old);
    if (std::none_of(now.begin(), now.end(),
                     [&](const json::value& one) { return without_seconds(one) == wanted; })) {
      return false;
    }
  }
  return true;
}

void CheckDeadlineChange(const json::object& now, const json::object& before, FieldErrors& errors) {
  const json::value* was = Find(before, {"spec", "activeDeadlineSeconds"});
  const json::value* is = Find(now, {"spec", "activeDeadlineSeconds"});
  if (was == nullptr || !was->is_int64()) return;
  if (is == nullptr || is->is_null()) {
    errors.InvalidValue("spec.activeDeadlineSeconds", json::value(),
                        "must not update from a positive integer to nil value");
  } else if (is->is_int64() && is->get_int64() > was->get_int64()) {
    errors.InvalidValue("spec.activeDeadlineSeconds", *is,
                        "must be less than or equal to previous value");
  }
}

}  // namespace

void CheckPodSpec(const json::object& spec, std::string_view path, FieldErrors& errors) {
  const std::set<std::string_view> volumes = CheckVolumes(spec, path, errors);
  std::set<std::string_view> names;
  // A list that is missing altogether is what the schema complains of.
  if (const json::value* containers = Find(spec, {"containers"});
      containers != nullptr && ArrayAt(spec, {"containers"}).empty()) {
    errors.Required(base::StrCat(path, ".containers"), "");
  }
  CheckContainers(spec, path, "containers", volumes, names, errors);
  CheckContainers(spec, path, "initContainers", volumes, names, errors);
  CheckContainers(spec, path, "ephemeralContainers", volumes, names, errors);
  CheckNumbers(spec, path, errors);
  CheckLabels(ObjectAt(spec, {"nodeSelector"}), base::StrCat(path, ".nodeSelector"), errors);
  CheckNames(spec, path, errors);
  CheckSecurity(spec, path, errors);
  CheckDns(spec, path, errors);
  if (const json::value* affinity = Find(spec, {"affinity"})) {
    CheckAffinity(*affinity, base::StrCat(path, ".affinity"), errors);
  }
  CheckTolerations(ArrayAt(spec, {"tolerations"}), base::StrCat(path, ".tolerations"), errors);
  CheckTopologySpread(ArrayAt(spec, {"topologySpreadConstraints"}),
                      base::StrCat(path, ".topologySpreadConstraints"), errors);
  if (const json::value* resources = Find(spec, {"resources"})) {
    CheckResources(*resources, base::StrCat(path, ".resources"), errors);
  }
}

void CheckPodTemplate(const json::value& pod_template, std::string_view path, FieldErrors& errors) {
  CheckLabels(ObjectAt(pod_template, {"metadata", "labels"}),
              base::StrCat(path, ".metadata.labels"), errors);
  CheckAnnotations(ObjectAt(pod_template, {"metadata", "annotations"}),
                   base::StrCat(path, ".metadata.annotations"), errors);
  if (Find(pod_template, {"spec"}) == nullptr) {
    errors.Required(base::StrCat(path, ".spec.containers"), "");
    return;
  }
  CheckPodSpec(ObjectAt(pod_template, {"spec"}), base::StrCat(path, ".spec"), errors);
}

void CheckPodUpdate(const json::object& now, const json::object& before, FieldErrors& errors) {
  for (std::string_view list : {"containers", "initContainers"}) {
    if (ArrayAt(now, {"spec", list}).size() != ArrayAt(before, {"spec", list}).size()) {
      errors.Forbidden(base::StrCat("spec.", list),
                       base::StrCat("pod updates may not add or remove ",
                                    list == "containers" ? "containers" : "initContainers"));
      return;
    }
  }
  CheckDeadlineChange(now, before, errors);
  if (!OnlyAddsTolerations(ArrayAt(now, {"spec", "tolerations"}),
                           ArrayAt(before, {"spec", "tolerations"}))) {
    errors.Forbidden("spec.tolerations",
                     "existing toleration can not be modified except its tolerationSeconds");
  }
  const json::array& old_gates = ArrayAt(before, {"spec", "schedulingGates"});
  for (const json::value& gate : ArrayAt(now, {"spec", "schedulingGates"})) {
    if (std::find(old_gates.begin(), old_gates.end(), gate) == old_gates.end()) {
      errors.Forbidden("spec.schedulingGates",
                       base::StrCat("only deletion is allowed, but found new scheduling gate '",
                                    StringAt(gate, {"name"}), "'"));
    }
  }

  // With what may change made alike, nothing else may differ.
  json::object masked = ObjectAt(now, {"spec"});
  const json::object& old = ObjectAt(before, {"spec"});
  auto take_old = [&](std::string_view member) {
    if (const json::value* was = Find(old, {member})) {
      masked[json::string_view(member.data(), member.size())] = *was;
    } else {
      Remove(masked, {member});
    }
  };
  for (std::string_view member : {"activeDeadlineSeconds", "tolerations", "schedulingGates"}) {
    take_old(member);
  }
  if (!old_gates.empty()) {
    // Before it is placed, its place may be narrowed.
    take_old("nodeSelector");
    take_old("affinity");
  }
  if (IntAt(old, {"terminationGracePeriodSeconds"}) < 0 &&
      IntAt(masked, {"terminationGracePeriodSeconds"}) == 1) {
    take_old("terminationGracePeriodSeconds");
  }
  for (std::string_view list : {"containers", "initContainers"}) {
    json::value* containers = Find(masked, {list});
    if (containers == nullptr || !containers->is_array()) continue;
    const json::array& were = ArrayAt(old, {list});
    for (size_t i = 0; i < were.size(); ++i) {
      if (const json::value* image = Find(were[i], {"image"})) {
        *Ensure(containers->get_array()[i], {"image"}) = *image;
      }
    }
  }
  if (masked != old) {
    errors.Forbidden(
        "spec",
        "pod updates may not change fields other than "
        "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
        "`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
        "negative)\n");
  }
}

}  // namespace keel::orchestrator
