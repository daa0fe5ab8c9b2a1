#include <set>

#include "base/strings.h"
#include "orchestrator/api/names.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"

namespace keel::orchestrator {
namespace {

// --- Defaults.

void SetDefaults(json::object& object) {
  json::object* spec = ObjectIn(object, {"spec"});
  if (spec == nullptr) return;
  const std::string type(StringAt(*spec, {"type"}));
  if (type == "LoadBalancer") {
    SetDefault(*spec, "allocateLoadBalancerNodePorts", true);
  }
  if (type == "LoadBalancer" || type == "NodePort") {
    SetDefault(*spec, "externalTrafficPolicy", "Cluster");
  }
  if (type != "ExternalName") SetDefault(*spec, "internalTrafficPolicy", "Cluster");
  if (StringAt(*spec, {"sessionAffinity"}) == "ClientIP" &&
      Find(*spec, {"sessionAffinityConfig", "clientIP", "timeoutSeconds"}) == nullptr) {
    *Ensure(*spec, {"sessionAffinityConfig", "clientIP", "timeoutSeconds"}) = 10800;
  }
  if (json::array* ports = ArrayIn(*spec, {"ports"})) {
    for (json::value& port : *ports) {
      if (!port.is_object()) continue;
      json::value& target = port.get_object()["targetPort"];
      const bool none = target.is_null() || (target.is_int64() && target.get_int64() == 0) ||
                        (target.is_string() && target.get_string().empty());
      if (none) target = IntAt(port, {"port"});
    }
  }
}

// Allocated values stay when an update leaves them out, as clients that replace objects do.
void Prepare(json::object& object, const json::object* before) {
  ResetStatus(object, before, {{"loadBalancer", json::object()}});
  if (before == nullptr) return;
  const std::string type(StringAt(object, {"spec", "type"}));  // what follows moves members
  if (type == "ExternalName") {
    for (std::string_view member : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}) {
      Remove(object, {"spec", member});
    }
    return;
  }
  if (StringAt(*before, {"spec", "type"}) == "ExternalName") return;
  for (std::string_view member : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"}) {
    KeepIfMissing(object, before, {"spec", member});
  }
  const auto uses_node_ports = [](std::string_view t) {
    return t == "NodePort" || t == "LoadBalancer";
  };
  json::array* ports = ArrayIn(object, {"spec", "ports"});
  if (ports == nullptr) return;
  for (json::value& port : *ports) {
    if (!port.is_object()) continue;
    if (!uses_node_ports(type)) continue;
    if (IntAt(port, {"nodePort"}) != 0) continue;
    for (const json::value& old : ArrayAt(*before, {"spec", "ports"})) {
      if (IntAt(old, {"port"}) == IntAt(port, {"port"}) &&
          StringAt(old, {"protocol"}) == StringAt(port, {"protocol"}) &&
          IntAt(old, {"nodePort"}) != 0) {
        port.get_object()["nodePort"] = IntAt(old, {"nodePort"});
      }
    }
  }
  // A type without node ports gives those up that the older type had.
  if (!uses_node_ports(type) && uses_node_ports(StringAt(*before, {"spec", "type"}))) {
    for (json::value& port : *ports) {
      for (const json::value& old : ArrayAt(*before, {"spec", "ports"})) {
        if (port.is_object() && IntAt(old, {"nodePort"}) == IntAt(port, {"nodePort"})) {
          port.get_object().erase("nodePort");
        }
      }
    }
  }
}

// --- Checks.

void CheckPort(const json::value& port, const std::string& field, size_t how_many,
               std::set<std::string_view>& names, FieldErrors& errors) {
  const std::string_view name = StringAt(port, {"name"});
  if (name.empty()) {
    if (how_many > 1) errors.Required(field + ".name", "");
  } else {
    for (const std::string& wrong : CheckDns1123Label(name)) {
      errors.InvalidValue(field + ".name", json::value(name), wrong);
    }
    if (!names.insert(name).second) errors.Duplicate(field + ".name", json::value(name));
  }
  const int64_t number = IntAt(port, {"port"});
  if (number < 1 || number > 65535) {
    errors.InvalidValue(field + ".port", number, kBadPort);
  }
  if (const json::value* target = Find(port, {"targetPort"})) {
    if (target->is_int64() && (target->get_int64() < 1 || target->get_int64() > 65535)) {
      errors.InvalidValue(field + ".targetPort", *target, kBadPort);
    } else if (target->is_string()) {
      for (const std::string& wrong : CheckPortName(View(target->get_string()))) {
        errors.InvalidValue(field + ".targetPort", *target, wrong);
      }
    }
  }
}

void Check(const json::object& object, FieldErrors& errors) {
  const json::object& spec = ObjectAt(object, {"spec"});
  const std::string_view type = StringAt(spec, {"type"});
  const std::string_view cluster_ip = StringAt(spec, {"clusterIP"});
  const json::array& ports = ArrayAt(spec, {"ports"});
  const bool headless = cluster_ip == "None";
  if (ports.empty() && !headless && type != "ExternalName") errors.Required("spec.ports", "");
  if (type == "LoadBalancer" && headless) {
    errors.InvalidValue("spec.clusterIPs[0]", "None",
                        "may not be set to 'None' for LoadBalancer services");
  }
  if (type == "NodePort" && headless) {
    errors.InvalidValue("spec.clusterIPs[0]", "None",
                        "may not be set to 'None' for NodePort services");
  }
  if (type == "ExternalName") {
    if (!cluster_ip.empty()) {
      errors.Forbidden("spec.clusterIP", "may not be set when `type` is 'ExternalName'");
    }
    std::string_view name = StringAt(spec, {"externalName"});
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.empty()) {
      errors.Required("spec.externalName", "");
    } else {
      for (const std::string& wrong : CheckDns1123Subdomain(name)) {
        errors.InvalidValue("spec.externalName", json::value(name), wrong);
      }
    }
  } else if (!cluster_ip.empty() && !headless) {
    for (const std::string& wrong : CheckIp(cluster_ip)) {
      errors.InvalidValue("spec.clusterIPs[0]", json::value(cluster_ip), wrong);
    }
  }
  std::set<std::string_view> names;
  std::set<std::pair<int64_t, std::string_view>> numbers;
  std::set<std::pair<int64_t, std::string_view>> node_ports;
  const bool node_ports_allowed = type == "NodePort" || type == "LoadBalancer";
  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string field = base::StrCat("spec.ports[", i, "]");
    CheckPort(ports[i], field, ports.size(), names, errors);
    const std::string_view protocol = StringAt(ports[i], {"protocol"});
    if (!numbers.emplace(IntAt(ports[i], {"port"}), protocol).second) {
      errors.Duplicate(field, ports[i]);
    }
    const int64_t node_port = IntAt(ports[i], {"nodePort"});
    if (node_port == 0) continue;
    if (!node_ports_allowed) {
      errors.Forbidden(field + ".nodePort",
                       base::StrCat("may not be used when `type` is '", type, "'"));
    } else if (!node_ports.emplace(node_port, protocol).second) {
      errors.Duplicate(field + ".nodePort", node_port);
    }
  }
  for (const auto& [key, value] : ObjectAt(spec, {"selector"})) {
    for (const std::string& wrong : CheckQualifiedName(key)) {
      errors.InvalidValue("spec.selector", json::value(key), wrong);
    }
    for (const std::string& wrong :
         CheckLabelValue(value.is_string() ? View(value.get_string()) : std::string_view())) {
      errors.InvalidValue("spec.selector", value, wrong);
    }
  }
  size_t i = 0;
  for (const json::value& ip : ArrayAt(spec, {"externalIPs"})) {
    const std::string field = base::StrCat("spec.externalIPs[", i++, "]");
    for (const std::string& wrong :
         CheckIp(ip.is_string() ? View(ip.get_string()) : std::string_view())) {
      errors.InvalidValue(field, ip, wrong);
    }
  }
  if (const json::value* timeout =
          Find(spec, {"sessionAffinityConfig", "clientIP", "timeoutSeconds"})) {
    const int64_t seconds = IntAt(spec, {"sessionAffinityConfig", "clientIP", "timeoutSeconds"});
    if (seconds <= 0 || seconds > 86400) {
      errors.InvalidValue("spec.sessionAffinityConfig.clientIP.timeoutSeconds", *timeout,
                          "must be greater than 0 and less than 86400");
    }
  }
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  if (StringAt(object, {"spec", "type"}) == "ExternalName" ||
      StringAt(before, {"spec", "type"}) == "ExternalName") {
    return;
  }
  const std::string_view was = StringAt(before, {"spec", "clusterIP"});
  const std::string_view is = StringAt(object, {"spec", "clusterIP"});
  if (!was.empty() && is != was) {
    errors.InvalidValue("spec.clusterIPs[0]", json::array{json::value(is)},
                        "may not change once set");
  }
}

// --- Columns.

json::value ExternalIpCell(const json::object& object, absl::Time) {
  const json::object& spec = ObjectAt(object, {"spec"});
  const std::string_view type = StringAt(spec, {"type"});
  if (type == "ExternalName") return json::value(StringAt(spec, {"externalName"}));
  std::string out;
  auto add = [&](std::string_view text) {
    if (text.empty()) return;
    if (!out.empty()) out += ',';
    out += text;
  };
  if (type == "LoadBalancer") {
    std::set<std::string_view> addresses;
    for (const json::value& ingress : ArrayAt(object, {"status", "loadBalancer", "ingress"})) {
      const std::string_view ip = StringAt(ingress, {"ip"});
      addresses.insert(ip.empty() ? StringAt(ingress, {"hostname"}) : ip);
    }
    for (std::string_view address : addresses) add(address);
  }
  for (const json::value& ip : ArrayAt(spec, {"externalIPs"})) {
    if (ip.is_string()) add(View(ip.get_string()));
  }
  if (!out.empty()) return json::value(out);
  return type == "LoadBalancer" ? "<pending>" : "<none>";
}

json::value PortsCell(const json::object& object, absl::Time) {
  std::string out;
  for (const json::value& port : ArrayAt(object, {"spec", "ports"})) {
    if (!out.empty()) out += ',';
    out += base::StrCat(IntAt(port, {"port"}));
    if (const int64_t node_port = IntAt(port, {"nodePort"}); node_port > 0) {
      out += base::StrCat(":", node_port);
    }
    out += base::StrCat("/", StringAt(port, {"protocol"}));
  }
  return json::value(out.empty() ? "<none>" : out);
}

}  // namespace

Kind ServiceKind() {
  return {
      .version = "v1",
      .kind = "Service",
      .plural = "services",
      .short_names = {"svc"},
      .categories = {"all"},
      .types = R"(
# One name and address for a set of pods.
Service {
  spec    ServiceSpec    -- What is wanted.
  status  ServiceStatus  -- What is.
}
# What is wanted of a Service.
ServiceSpec {
  ports                          [ServicePort] key(port, protocol) dups -- Its ports.
  selector                       {string} atomic                   -- Labels of the pods behind it.
  clusterIP                      string                            -- Its address; None for none; set by the server.
  clusterIPs                     [string] atomic                   -- Its addresses, one a family.
  type                           string = "ClusterIP" enum(ClusterIP, ExternalName, LoadBalancer, NodePort) -- How it is reached.
  externalIPs                    [string] atomic                   -- Further addresses that lead here.
  sessionAffinity                string = "None" enum(ClientIP, None) -- ClientIP: a client keeps its pod.
  loadBalancerIP                 string                            -- Deprecated: the wanted address of the load balancer.
  loadBalancerSourceRanges       [string] atomic                   -- Who may come through the load balancer.
  externalName                   string                            -- The name that it stands for (ExternalName).
  externalTrafficPolicy          string enum(Cluster, Local)       -- Whether traffic from outside stays on its node.
  healthCheckNodePort            int32                             -- Where load balancers ask for health.
  publishNotReadyAddresses       bool                              -- Pods that are not ready count too.
  sessionAffinityConfig          SessionAffinityConfig             -- How clients keep their pods.
  ipFamilies                     [string] atomic                   -- IPv4 and IPv6.
  ipFamilyPolicy                 string enum(PreferDualStack, RequireDualStack, SingleStack) -- One family or two.
  allocateLoadBalancerNodePorts  bool                              -- Whether load balancers need node ports.
  loadBalancerClass              string                            -- Who makes the load balancer.
  internalTrafficPolicy          string enum(Cluster, Local)       -- Whether traffic from inside stays on its node.
  trafficDistribution            string                            -- How traffic is spread: PreferClose, ...
}
# A port of a Service.
ServicePort {
  name         string          -- Unique in the service; needed when there are several.
  protocol     string = "TCP" enum(SCTP, TCP, UDP) -- UDP, TCP or SCTP.
  appProtocol  string          -- What is spoken.
  port!        int32           -- The number.
  targetPort   intstr          -- Number or name of the pods' port; port if empty.
  nodePort     int32           -- The port of every node that leads here; set by the server.
}
# How clients keep their pods.
SessionAffinityConfig {
  clientIP  ClientIPConfig  -- By the client's address.
}
# How clients keep their pods, by address.
ClientIPConfig {
  timeoutSeconds  int32  -- For how long.
}
# What is known of a Service.
ServiceStatus {
  loadBalancer  LoadBalancerStatus            -- Its load balancer.
  conditions    [Condition] key(type) dups         -- Aspects of its state.
}
# What is known of a load balancer.
LoadBalancerStatus {
  ingress  [LoadBalancerIngress] atomic  -- Where it takes traffic.
}
# Where a load balancer takes traffic.
LoadBalancerIngress {
  ip        string               -- Its address.
  hostname  string               -- Its name.
  ipMode    string               -- VIP or Proxy.
  ports     [PortStatus] atomic  -- Its ports.
}
# A port of a load balancer.
PortStatus {
  port!      int32   -- The number.
  protocol!  string  -- UDP, TCP or SCTP.
  error      string  -- What is wrong with it.
}
)",
      .columns = {TextColumn("Type", {"spec", "type"}),
                  TextColumn("Cluster-IP", {"spec", "clusterIP"}, "<none>"),
                  CellColumn("External-IP", "string", 0, ExternalIpCell),
                  CellColumn("Port(s)", "string", 0, PortsCell), AgeColumn(),
                  MapColumn("Selector", {"spec", "selector"}, 1)},
      .has_status = true,
      .selectable_fields = {"spec.clusterIP", "spec.type"},
      .name_rule = Kind::NameRule::kLabel1035,
      .can_create_by_update = true,
      .set_defaults = SetDefaults,
      .prepare = Prepare,
      .check = Check,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
