#include <set>

#include "base/strings.h"
#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

// "10.0.0.1:80,10.0.0.2:80 + 1 more...": three are shown.
json::value EndpointsCell(const json::object& object, absl::Time) {
  constexpr size_t kShown = 3;
  std::string out;
  size_t count = 0;
  auto add = [&](std::string text) {
    if (count++ < kShown) out += (out.empty() ? "" : ",") + text;
  };
  const json::array& subsets = ArrayAt(object, {"subsets"});
  if (subsets.empty()) return "<none>";
  for (const json::value& subset : subsets) {
    const json::array& ports = ArrayAt(subset, {"ports"});
    if (ports.empty()) {
      for (const json::value& address : ArrayAt(subset, {"addresses"})) {
        add(std::string(StringAt(address, {"ip"})));
      }
      continue;
    }
    for (const json::value& port : ports) {
      for (const json::value& address : ArrayAt(subset, {"addresses"})) {
        const std::string_view ip = StringAt(address, {"ip"});
        const bool v6 = ip.find(':') != std::string_view::npos;
        add(base::StrCat(v6 ? "[" : "", ip, v6 ? "]" : "", ":", IntAt(port, {"port"})));
      }
    }
  }
  if (count > kShown) out += base::StrCat(" + ", count - kShown, " more...");
  return json::value(out.empty() ? "<none>" : out);
}

}  // namespace

Kind EndpointsKind() {
  return {
      .version = "v1",
      .kind = "Endpoints",
      .plural = "endpoints",
      .singular = "endpoints",
      .short_names = {"ep"},
      .types = R"(
# Where the pods of a service are. EndpointSlices hold the same in smaller pieces.
Endpoints {
  subsets  [EndpointSubset] atomic  -- Addresses with the ports that all of them have.
}
# Addresses with the ports that all of them have.
EndpointSubset {
  addresses          [EndpointAddress] atomic  -- Those that take requests.
  notReadyAddresses  [EndpointAddress] atomic  -- Those that do not yet or no longer.
  ports              [EndpointPort] atomic     -- Their ports.
}
# One address of a service.
EndpointAddress atomic {
  ip!        string           -- The address.
  hostname   string           -- Its host name.
  nodeName   string           -- Its node.
  targetRef  ObjectReference  -- The pod.
}
# One port of a service's addresses.
EndpointPort atomic {
  name         string          -- The name of the service's port.
  port!        int32 min(1) max(65535) -- The number.
  protocol     string = "TCP" enum(SCTP, TCP, UDP) -- UDP, TCP or SCTP.
  appProtocol  string          -- What is spoken.
}
)",
      .columns = {CellColumn("Endpoints", "string", 0, EndpointsCell), AgeColumn()},
      .can_create_by_update = true,
  };
}

}  // namespace keel::orchestrator
