#include "base/strings.h"
#include "orchestrator/api/names.h"
#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

constexpr size_t kShown = 3;

std::string WithRest(std::string shown, size_t count) {
  if (count > kShown) shown += base::StrCat(" + ", count - kShown, " more...");
  return shown.empty() ? "<unset>" : shown;
}

json::value PortsCell(const json::object& object, absl::Time) {
  std::string out;
  size_t count = 0;
  for (const json::value& port : ArrayAt(object, {"ports"})) {
    if (count++ >= kShown) continue;
    if (!out.empty()) out += ',';
    const std::string_view name = StringAt(port, {"name"});
    if (Find(port, {"port"}) != nullptr) {
      out += base::StrCat(IntAt(port, {"port"}));
    } else {
      out += name.empty() ? "*" : name;
    }
  }
  return json::value(WithRest(std::move(out), count));
}

json::value EndpointsCell(const json::object& object, absl::Time) {
  std::string out;
  size_t count = 0;
  for (const json::value& endpoint : ArrayAt(object, {"endpoints"})) {
    for (const json::value& address : ArrayAt(endpoint, {"addresses"})) {
      if (count++ >= kShown || !address.is_string()) continue;
      if (!out.empty()) out += ',';
      out += View(address.get_string());
    }
  }
  return json::value(WithRest(std::move(out), count));
}

void Check(const json::object& object, FieldErrors& errors) {
  const bool names = StringAt(object, {"addressType"}) == "FQDN";
  const json::array& endpoints = ArrayAt(object, {"endpoints"});
  if (endpoints.size() > 1000) errors.TooMany("endpoints", endpoints.size(), 1000);
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const std::string field = base::StrCat("endpoints[", i, "].addresses");
    const json::array& addresses = ArrayAt(endpoints[i], {"addresses"});
    if (addresses.empty()) errors.Required(field, "must contain at least 1 address");
    if (addresses.size() > 100) errors.TooMany(field, addresses.size(), 100);
    for (size_t k = 0; k < addresses.size(); ++k) {
      if (!addresses[k].is_string()) continue;
      const std::string_view text = View(addresses[k].get_string());
      for (const std::string& wrong : names ? CheckDns1123Subdomain(text) : CheckIp(text)) {
        errors.InvalidValue(base::StrCat(field, "[", k, "]"), addresses[k], wrong);
      }
    }
  }
  if (ArrayAt(object, {"ports"}).size() > 100) {
    errors.TooMany("ports", ArrayAt(object, {"ports"}).size(), 100);
  }
}

}  // namespace

Kind EndpointSliceKind() {
  return {
      .group = "discovery.k8s.io",
      .version = "v1",
      .kind = "EndpointSlice",
      .plural = "endpointslices",
      .types = R"(
# Some of the places where the pods of a service are.
EndpointSlice {
  addressType!  string enum(FQDN, IPv4, IPv6) immutable -- What its addresses are.
  endpoints!    [Endpoint] atomic         -- The places.
  ports         [DiscoveryPort] atomic    -- The ports that all of them have.
}
# One place of a service.
Endpoint {
  addresses!          [string] set       -- Its addresses; clients take the first.
  conditions          EndpointConditions = {} -- Whether it takes requests.
  hostname            string             -- Its host name.
  targetRef           ObjectReference    -- The pod.
  deprecatedTopology  {string}           -- Deprecated: labels of its node.
  nodeName            string             -- Its node.
  zone                string             -- Its zone.
  hints               EndpointHints      -- Who should use it.
}
# Whether a place takes requests.
EndpointConditions {
  ready        bool  -- Whether it takes requests.
  serving      bool  -- The same, even while it ends.
  terminating  bool  -- Whether it is ending.
}
# Who should use a place.
EndpointHints {
  forZones  [ForZone] atomic  -- The zones that should.
  forNodes  [ForNode] atomic  -- The nodes that should.
}
# A zone that should use a place.
ForZone {
  name!  string  -- The zone.
}
# A node that should use a place.
ForNode {
  name!  string  -- The node.
}
# A port of the places of a slice.
DiscoveryPort atomic {
  name         string = ""     -- The name of the service's port.
  protocol     string = "TCP" enum(SCTP, TCP, UDP) -- UDP, TCP or SCTP.
  port         int32           -- The number; all ports if empty.
  appProtocol  string          -- What is spoken.
}
)",
      .columns = {TextColumn("AddressType", {"addressType"}),
                  CellColumn("Ports", "string", 0, PortsCell),
                  CellColumn("Endpoints", "string", 0, EndpointsCell), AgeColumn()},
      .has_generation = true,
      .check = Check,
  };
}

}  // namespace keel::orchestrator
