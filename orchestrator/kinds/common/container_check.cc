#include <algorithm>

#include "base/strings.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kHandlers[] = {"exec", "httpGet", "tcpSocket", "grpc", "sleep"};

void CheckPortValue(const json::value* port, const std::string& field, FieldErrors& errors) {
  if (port == nullptr) return;
  if (port->is_int64()) {
    const int64_t number = port->get_int64();
    if (number < 1 || number > 65535) errors.InvalidValue(field, *port, kBadPort);
  } else if (port->is_string()) {
    AddComplaints(CheckPortName(View(port->get_string())), field, *port, errors);
  }
}

// What a probe or a hook does: exactly one thing.
void CheckHandler(const json::value& handler, const std::string& path, FieldErrors& errors) {
  size_t count = 0;
  for (std::string_view kind : kHandlers) {
    const json::value* action = Find(handler, {kind});
    if (action == nullptr || action->is_null()) continue;
    const std::string field = base::StrCat(path, ".", kind);
    if (++count > 1) {
      errors.Forbidden(field, "may not specify more than 1 handler type");
    } else if (kind == "exec") {
      if (ArrayAt(*action, {"command"}).empty()) errors.Required(field + ".command", "");
    } else if (kind == "httpGet") {
      RequireText(*action, "path", field, errors);
      CheckPortValue(Find(*action, {"port"}), field + ".port", errors);
      const std::string_view scheme = StringAt(*action, {"scheme"});
      if (!scheme.empty() && scheme != "HTTP" && scheme != "HTTPS") {
        errors.NotSupported(field + ".scheme", json::value(scheme), {"HTTP", "HTTPS"});
      }
    } else if (kind == "tcpSocket" || kind == "grpc") {
      CheckPortValue(Find(*action, {"port"}), field + ".port", errors);
    } else if (kind == "sleep") {
      CheckAtLeast(*action, "seconds", 0, kNotNegative, field, errors);
    }
  }
  if (count == 0) errors.Required(path, "must specify a handler type");
}

void CheckProbe(const json::value& container, std::string_view member, const std::string& path,
                bool one_success, FieldErrors& errors) {
  const json::value* probe = Find(container, {member});
  if (probe == nullptr || !probe->is_object()) return;
  const std::string field = base::StrCat(path, ".", member);
  CheckHandler(*probe, field, errors);
  for (std::string_view number : {"initialDelaySeconds", "timeoutSeconds", "periodSeconds",
                                  "successThreshold", "failureThreshold"}) {
    CheckAtLeast(*probe, number, 0, kNotNegative, field, errors);
  }
  CheckAtLeast(*probe, "terminationGracePeriodSeconds", 1, "must be greater than 0", field, errors);
  if (one_success && IntAt(*probe, {"successThreshold"}, 1) != 1) {
    errors.InvalidValue(field + ".successThreshold", IntAt(*probe, {"successThreshold"}),
                        "must be 1");
  }
}

void CheckPorts(const json::value& container, const std::string& path, FieldErrors& errors) {
  std::set<std::string_view> names;
  size_t i = 0;
  for (const json::value& port : ArrayAt(container, {"ports"})) {
    const std::string field = base::StrCat(path, ".ports[", i++, "]");
    if (const std::string_view name = StringAt(port, {"name"}); !name.empty()) {
      const Complaints wrong = CheckPortName(name);
      AddComplaints(wrong, field + ".name", json::value(name), errors);
      if (wrong.empty() && !names.insert(name).second) {
        errors.Duplicate(field + ".name", json::value(name));
      }
    }
    const int64_t number = IntAt(port, {"containerPort"});
    if (number == 0) {
      errors.Required(field + ".containerPort", "");
    } else if (number < 1 || number > 65535) {
      errors.InvalidValue(field + ".containerPort", number, kBadPort);
    }
    const int64_t host = IntAt(port, {"hostPort"});
    if (host != 0 && (host < 1 || host > 65535)) {
      errors.InvalidValue(field + ".hostPort", host, kBadPort);
    }
  }
}

void CheckKeyRef(const json::value& ref, const std::string& path, FieldErrors& errors) {
  RequireText(ref, "name", path, errors);
  if (RequireText(ref, "key", path, errors)) {
    const std::string_view key = StringAt(ref, {"key"});
    AddComplaints(CheckDataKey(key), path + ".key", json::value(key), errors);
  }
}

void CheckEnv(const json::value& container, const std::string& path, FieldErrors& errors) {
  size_t i = 0;
  for (const json::value& env : ArrayAt(container, {"env"})) {
    const std::string field = base::StrCat(path, ".env[", i++, "]");
    const std::string_view name = StringAt(env, {"name"});
    if (RequireText(env, "name", field, errors)) {
      AddComplaints(CheckEnvName(name), field + ".name", json::value(name), errors);
    }
    const json::value* from = Find(env, {"valueFrom"});
    if (from == nullptr || from->is_null()) continue;
    const std::string source = field + ".valueFrom";
    size_t count = 0;
    if (const json::value* ref = Find(*from, {"fieldRef"})) {
      ++count;
      CheckFieldRef(*ref, source + ".fieldRef", false, errors);
    }
    if (const json::value* ref = Find(*from, {"resourceFieldRef"})) {
      ++count;
      CheckResourceFieldRef(*ref, source + ".resourceFieldRef", false, errors);
    }
    for (std::string_view kind : {"configMapKeyRef", "secretKeyRef"}) {
      if (const json::value* ref = Find(*from, {kind})) {
        ++count;
        CheckKeyRef(*ref, base::StrCat(source, ".", kind), errors);
      }
    }
    if (Find(*from, {"fileKeyRef"}) != nullptr) ++count;
    if (count == 0) {
      errors.InvalidValue(source, "",
                          "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` "
                          "or `secretKeyRef`");
    } else if (!StringAt(env, {"value"}).empty()) {
      errors.InvalidValue(source, "", "may not be specified when `value` is not empty");
    } else if (count > 1) {
      errors.InvalidValue(source, "", "may not have more than one field specified at a time");
    }
  }
  i = 0;
  for (const json::value& source : ArrayAt(container, {"envFrom"})) {
    const std::string field = base::StrCat(path, ".envFrom[", i++, "]");
    size_t count = 0;
    for (std::string_view kind : {"configMapRef", "secretRef"}) {
      if (const json::value* ref = Find(source, {kind})) {
        ++count;
        RequireText(*ref, "name", base::StrCat(field, ".", kind), errors);
      }
    }
    if (count == 0) {
      errors.InvalidValue(field, "", "must specify one of: `configMapRef` or `secretRef`");
    } else if (count > 1) {
      errors.InvalidValue(field, "", "may not have more than one field specified at a time");
    }
  }
}

void CheckMounts(const json::value& container, const std::string& path,
                 const std::set<std::string_view>& volumes, FieldErrors& errors) {
  std::set<std::string_view> places;
  size_t i = 0;
  for (const json::value& mount : ArrayAt(container, {"volumeMounts"})) {
    const std::string field = base::StrCat(path, ".volumeMounts[", i++, "]");
    const std::string_view name = StringAt(mount, {"name"});
    if (RequireText(mount, "name", field, errors) && !volumes.contains(name)) {
      errors.NotFoundValue(field + ".name", json::value(name));
    }
    const std::string_view place = StringAt(mount, {"mountPath"});
    if (RequireText(mount, "mountPath", field, errors) && !places.insert(place).second) {
      errors.InvalidValue(field + ".mountPath", json::value(place), "must be unique");
    }
    for (std::string_view member : {"subPath", "subPathExpr"}) {
      const std::string_view sub = StringAt(mount, {member});
      const std::string in = base::StrCat("/", sub, "/");
      if (sub.starts_with('/')) {
        errors.InvalidValue(base::StrCat(field, ".", member), json::value(sub),
                            "must be a relative path");
      } else if (in.find("/../") != std::string::npos) {
        errors.InvalidValue(base::StrCat(field, ".", member), json::value(sub),
                            "must not contain '..'");
      }
    }
  }
}

void CheckSecurity(const json::value& container, const std::string& path, FieldErrors& errors) {
  const json::value* context = Find(container, {"securityContext"});
  if (context == nullptr) return;
  const std::string field = path + ".securityContext";
  for (std::string_view member : {"runAsUser", "runAsGroup"}) {
    const int64_t id = IntAt(*context, {member});
    if (id < 0 || id > 2147483647) {
      errors.InvalidValue(base::StrCat(field, ".", member), id,
                          "must be between 0 and 2147483647, inclusive");
    }
  }
  const json::value* escalation = Find(*context, {"allowPrivilegeEscalation"});
  if (escalation != nullptr && *escalation == json::value(false) &&
      BoolAt(*context, {"privileged"})) {
    errors.InvalidValue(field, *context,
                        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
  }
}

bool IsStandardResource(std::string_view name) {
  return name == "cpu" || name == "memory" || name == "ephemeral-storage" ||
         name.starts_with("hugepages-");
}

bool IsOvercommitable(std::string_view name) {
  return !name.starts_with("hugepages-") &&
         (name.find('/') == std::string_view::npos || name.starts_with("kubernetes.io/"));
}

void CheckResourceList(const json::value& resources, std::string_view member,
                       const std::string& path, FieldErrors& errors) {
  for (const auto& [key, value] : ObjectAt(resources, {member})) {
    const std::string_view name(key);
    const std::string field = base::StrCat(path, ".", member, "[", name, "]");
    const Complaints wrong = CheckQualifiedName(name);
    AddComplaints(wrong, field, json::value(name), errors);
    if (wrong.empty() && name.find('/') == std::string_view::npos && !IsStandardResource(name)) {
      errors.InvalidValue(field, json::value(name), "must be a standard resource for containers");
    }
    const auto quantity = Quantity::FromJson(value);
    if (!quantity.ok()) continue;  // the schema has said so
    if (quantity->Sign() < 0) {
      errors.InvalidValue(field, json::value(quantity->ToString()), kNotNegative);
    }
    if (name.find('/') != std::string_view::npos && quantity->MilliValue() % 1000 != 0) {
      errors.InvalidValue(field, json::value(quantity->ToString()), "must be an integer");
    }
  }
}

}  // namespace

bool RequireText(const json::value& in, std::string_view member, std::string_view path,
                 FieldErrors& errors, std::string_view detail) {
  const json::value* value = Find(in, {member});
  // What is missing altogether or of another type is what the schema complains of.
  if (value == nullptr) {
    errors.Required(base::StrCat(path, ".", member), detail);
    return false;
  }
  if (const json::string* text = value->if_string(); text != nullptr && text->empty()) {
    errors.Required(base::StrCat(path, ".", member), detail);
    return false;
  }
  return true;
}

void CheckAtLeast(const json::value& in, std::string_view member, int64_t least,
                  std::string_view detail, std::string_view path, FieldErrors& errors) {
  const json::value* value = Find(in, {member});
  if (value != nullptr && value->is_int64() && value->get_int64() < least) {
    errors.InvalidValue(base::StrCat(path, ".", member), *value, detail);
  }
}

void CheckResources(const json::value& resources, const std::string& path, FieldErrors& errors) {
  CheckResourceList(resources, "limits", path, errors);
  CheckResourceList(resources, "requests", path, errors);
  const json::object& limits = ObjectAt(resources, {"limits"});
  for (const auto& [key, value] : ObjectAt(resources, {"requests"})) {
    const std::string_view name(key);
    const auto asked = Quantity::FromJson(value);
    const json::value* limit = limits.if_contains(key);
    if (limit == nullptr) {
      if (!IsOvercommitable(name)) {
        errors.Required(path + ".limits", "Limit must be set for non overcommitable resources");
      }
      continue;
    }
    const auto most = Quantity::FromJson(*limit);
    if (!asked.ok() || !most.ok()) continue;
    if (!IsOvercommitable(name) && *asked != *most) {
      errors.InvalidValue(path + ".requests", json::value(asked->ToString()),
                          base::StrCat("must be equal to ", name, " limit of ", most->ToString()));
    } else if (*asked > *most) {
      errors.InvalidValue(
          path + ".requests", json::value(asked->ToString()),
          base::StrCat("must be less than or equal to ", name, " limit of ", most->ToString()));
    }
  }
}

void CheckContainers(const json::object& spec, std::string_view path, std::string_view member,
                     const std::set<std::string_view>& volumes, std::set<std::string_view>& names,
                     FieldErrors& errors) {
  std::set<std::string> host_ports;
  size_t i = 0;
  for (const json::value& container : ArrayAt(spec, {member})) {
    const std::string field = base::StrCat(path, ".", member, "[", i++, "]");
    const std::string_view name = StringAt(container, {"name"});
    if (RequireText(container, "name", field, errors)) {
      AddComplaints(CheckDns1123Label(name), field + ".name", json::value(name), errors);
      if (!names.insert(name).second) errors.Duplicate(field + ".name", json::value(name));
    }
    const std::string_view image = StringAt(container, {"image"});
    if (RequireText(container, "image", field, errors) &&
        (image.find_first_of(" \t\r\n") == 0 ||
         image.find_last_of(" \t\r\n") == image.size() - 1)) {
      errors.InvalidValue(field + ".image", json::value(image),
                          "must not have leading or trailing whitespace");
    }
    CheckPorts(container, field, errors);
    size_t k = 0;
    for (const json::value& port : ArrayAt(container, {"ports"})) {
      const int64_t number = IntAt(port, {"hostPort"});
      const std::string place =
          base::StrCat(StringAt(port, {"protocol"}), "/", StringAt(port, {"hostIP"}), "/", number);
      if (number != 0 && !host_ports.insert(place).second) {
        errors.Duplicate(base::StrCat(field, ".ports[", k, "].hostPort"), json::value(place));
      }
      ++k;
    }
    CheckEnv(container, field, errors);
    CheckMounts(container, field, volumes, errors);
    if (const json::value* resources = Find(container, {"resources"})) {
      CheckResources(*resources, field + ".resources", errors);
    }
    CheckSecurity(container, field, errors);

    const std::string_view restart = StringAt(container, {"restartPolicy"});
    const bool init = member == "initContainers";
    if (init && !restart.empty() && restart != "Always") {
      errors.NotSupported(field + ".restartPolicy", json::value(restart), {"Always"});
    }
    if ((init && restart.empty()) || member == "ephemeralContainers") {
      const std::string_view what =
          init ? "init containers without restartPolicy=Always" : "ephemeral containers";
      for (std::string_view no : {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"}) {
        if (Find(container, {no}) == nullptr) continue;
        if (init) {
          errors.Forbidden(base::StrCat(field, ".", no), base::StrCat("may not be set for ", what));
        } else {
          errors.Forbidden(base::StrCat(field, ".", no),
                           "cannot be set for an Ephemeral Container");
        }
      }
      continue;
    }
    CheckProbe(container, "livenessProbe", field, true, errors);
    CheckProbe(container, "readinessProbe", field, false, errors);
    CheckProbe(container, "startupProbe", field, true, errors);
    for (std::string_view hook : {"postStart", "preStop"}) {
      if (const json::value* handler = Find(container, {"lifecycle", hook})) {
        CheckHandler(*handler, base::StrCat(field, ".lifecycle.", hook), errors);
      }
    }
  }
}

}  // namespace keel::orchestrator
