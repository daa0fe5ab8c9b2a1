#include "base/strings.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {
namespace {

void CheckBackend(const json::value& backend, const std::string& path, FieldErrors& errors) {
  const json::value* service = Find(backend, {"service"});
  const json::value* resource = Find(backend, {"resource"});
  if (service != nullptr && resource != nullptr) {
    errors.InvalidValue(path, "", "cannot set both resource and service backends");
    return;
  }
  if (service == nullptr) {
    if (resource == nullptr) errors.Required(path, "resource or service backend is required");
    return;
  }
  const std::string field = path + ".service";
  if (RequireText(*service, "name", field, errors)) {
    const std::string_view name = StringAt(*service, {"name"});
    AddComplaints(CheckDns1035Label(name), field + ".name", json::value(name), errors);
  }
  const std::string_view port_name = StringAt(*service, {"port", "name"});
  const int64_t number = IntAt(*service, {"port", "number"});
  if (port_name.empty() == (number == 0)) {
    if (port_name.empty()) {
      errors.Required(field, "port name or number is required");
    } else {
      errors.InvalidValue(field, "", "cannot set both port name & port number");
    }
  } else if (!port_name.empty()) {
    AddComplaints(CheckPortName(port_name), field + ".port.name", json::value(port_name), errors);
  } else if (number < 1 || number > 65535) {
    errors.InvalidValue(field + ".port.number", number, kBadPort);
  }
}

void CheckHost(std::string_view host, const std::string& field, FieldErrors& errors) {
  if (host.empty()) return;
  const json::value value(host);
  if (CheckIp(host).empty()) {
    errors.InvalidValue(field, value, "must be a DNS name, not an IP address");
    return;
  }
  const std::string_view rest = host.starts_with("*.") ? host.substr(2) : host;
  AddComplaints(CheckDns1123Subdomain(rest), field, value, errors);
}

void Check(const json::object& object, FieldErrors& errors) {
  const json::array& rules = ArrayAt(object, {"spec", "rules"});
  const json::value* fallback = Find(object, {"spec", "defaultBackend"});
  if (rules.empty() && fallback == nullptr) {
    errors.InvalidValue("spec", rules, "either `defaultBackend` or `rules` must be specified");
  }
  if (fallback != nullptr) CheckBackend(*fallback, "spec.defaultBackend", errors);
  for (size_t i = 0; i < rules.size(); ++i) {
    const std::string field = base::StrCat("spec.rules[", i, "]");
    CheckHost(StringAt(rules[i], {"host"}), field + ".host", errors);
    const json::value* http = Find(rules[i], {"http"});
    if (http == nullptr) continue;
    const json::array& paths = ArrayAt(*http, {"paths"});
    if (paths.empty()) errors.Required(field + ".http.paths", "");
    for (size_t k = 0; k < paths.size(); ++k) {
      const std::string inner = base::StrCat(field, ".http.paths[", k, "]");
      const std::string_view type = StringAt(paths[k], {"pathType"});
      const std::string_view path = StringAt(paths[k], {"path"});
      if (type == "Exact" || type == "Prefix") {
        if (!path.starts_with('/')) {
          errors.InvalidValue(inner + ".path", json::value(path), "must be an absolute path");
        }
        for (const char* bad : {"//", "/./", "/../", "%2f", "%2F"}) {
          if (path.find(bad) != std::string_view::npos) {
            errors.InvalidValue(inner + ".path", json::value(path),
                                base::StrCat("must not contain '", bad, "'"));
          }
        }
      }
      if (const json::value* backend = Find(paths[k], {"backend"})) {
        CheckBackend(*backend, inner + ".backend", errors);
      }
    }
  }
  size_t i = 0;
  for (const json::value& tls : ArrayAt(object, {"spec", "tls"})) {
    size_t k = 0;
    for (const json::value& host : ArrayAt(tls, {"hosts"})) {
      CheckHost(host.is_string() ? View(host.get_string()) : std::string_view(),
                base::StrCat("spec.tls[", i, "].hosts[", k++, "]"), errors);
    }
    ++i;
  }
}

json::value HostsCell(const json::object& object, absl::Time) {
  constexpr size_t kShown = 3;
  std::string out;
  size_t count = 0;
  for (const json::value& rule : ArrayAt(object, {"spec", "rules"})) {
    const std::string_view host = StringAt(rule, {"host"});
    if (host.empty()) continue;
    if (count++ < kShown) out += base::StrCat(out.empty() ? "" : ",", host);
  }
  if (count > kShown) out += base::StrCat(" + ", count - kShown, " more...");
  return json::value(out.empty() ? "*" : out);
}

json::value AddressCell(const json::object& object, absl::Time) {
  std::string out;
  for (const json::value& ingress : ArrayAt(object, {"status", "loadBalancer", "ingress"})) {
    const std::string_view ip = StringAt(ingress, {"ip"});
    if (!out.empty()) out += ',';
    out += ip.empty() ? StringAt(ingress, {"hostname"}) : ip;
  }
  return json::value(out);
}

}  // namespace

Kind IngressKind() {
  return {
      .group = "networking.k8s.io",
      .version = "v1",
      .kind = "Ingress",
      .plural = "ingresses",
      .short_names = {"ing"},
      .types = R"(
# Rules by which requests from outside come to services.
Ingress {
  spec    IngressSpec    -- The rules.
  status  IngressStatus  -- Where requests are taken.
}
# The rules of an Ingress.
IngressSpec {
  ingressClassName  string                -- The class, which says who looks after it.
  defaultBackend    IngressBackend        -- Where requests go that no rule fits.
  tls               [IngressTLS] atomic   -- Certificates.
  rules             [IngressRule] atomic  -- Which requests go where.
}
# Where requests go.
IngressBackend {
  service   IngressServiceBackend      -- To a service.
  resource  TypedLocalObjectReference  -- To something else.
}
# A port of a service.
IngressServiceBackend {
  name!  string              -- The service.
  port   ServiceBackendPort  -- Its port.
}
# Names a port.
ServiceBackendPort atomic {
  name    string  -- By its name.
  number  int32   -- By its number.
}
# A certificate and its hosts.
IngressTLS {
  hosts       [string] atomic  -- The hosts.
  secretName  string           -- The secret with the certificate.
}
# Where requests for one host go.
IngressRule {
  host  string                -- The host; empty: all. May begin with "*.".
  http  HTTPIngressRuleValue  -- By their path.
}
# Where requests go by their path.
HTTPIngressRuleValue {
  paths!  [HTTPIngressPath] atomic  -- The paths.
}
# Where requests for one path go.
HTTPIngressPath {
  path       string          -- The path.
  pathType!  string enum(Exact, ImplementationSpecific, Prefix) -- How it is compared.
  backend!   IngressBackend  -- Where requests go.
}
# Where an Ingress takes requests.
IngressStatus {
  loadBalancer  IngressLoadBalancerStatus  -- The load balancer.
}
# A load balancer of an Ingress.
IngressLoadBalancerStatus {
  ingress  [LoadBalancerIngress] atomic  -- Where it takes requests.
}
)",
      .columns = {TextColumn("Class", {"spec", "ingressClassName"}, "<none>"),
                  CellColumn("Hosts", "string", 0, HostsCell),
                  CellColumn("Address", "string", 0, AddressCell),
                  CellColumn("Ports", "string", 0,
                             [](const json::object& object, absl::Time) -> json::value {
                               return ArrayAt(object, {"spec", "tls"}).empty() ? "80" : "80, 443";
                             }),
                  AgeColumn()},
      .has_status = true,
      .has_generation = true,
      .prepare =
          [](json::object& object, const json::object* before) {
            ResetStatus(object, before, {{"loadBalancer", json::object()}});
          },
      .check = Check,
  };
}

}  // namespace keel::orchestrator
