#include <set>

#include "base/strings.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"

namespace keel::orchestrator {
namespace {

json::value StatusCell(const json::object& object, absl::Time) {
  std::string status = "Unknown";
  for (const json::value& condition : ArrayAt(object, {"status", "conditions"})) {
    if (StringAt(condition, {"type"}) != "Ready") continue;
    status = StringAt(condition, {"status"}) == "True" ? "Ready" : "NotReady";
  }
  if (BoolAt(object, {"spec", "unschedulable"})) status += ",SchedulingDisabled";
  return json::value(status);
}

json::value RolesCell(const json::object& object, absl::Time) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  for (const auto& [key, value] : ObjectAt(object, {"metadata", "labels"})) {
    const std::string_view name(key);
    if (name.starts_with(kPrefix) && name.size() > kPrefix.size()) {
      roles.emplace(name.substr(kPrefix.size()));
    } else if (name == "kubernetes.io/role" && value.is_string() && !value.get_string().empty()) {
      roles.emplace(View(value.get_string()));
    }
  }
  std::string out;
  for (const std::string& role : roles) out += (out.empty() ? "" : ",") + role;
  return json::value(out.empty() ? "<none>" : out);
}

Column AddressColumn(std::string name, std::string type) {
  return CellColumn(
      std::move(name), "string", 1,
      [type = std::move(type)](const json::object& object, absl::Time) -> json::value {
        for (const json::value& address : ArrayAt(object, {"status", "addresses"})) {
          if (StringAt(address, {"type"}) == type) {
            return json::value(StringAt(address, {"address"}));
          }
        }
        return "<none>";
      });
}

void Check(const json::object& object, FieldErrors& errors) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  size_t i = 0;
  for (const json::value& taint : ArrayAt(object, {"spec", "taints"})) {
    const std::string field = base::StrCat("spec.taints[", i++, "]");
    const std::string_view effect = StringAt(taint, {"effect"});
    if (effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute") {
      errors.NotSupported(field + ".effect", json::value(effect),
                          {"NoSchedule", "PreferNoSchedule", "NoExecute"});
    }
    if (!seen.emplace(StringAt(taint, {"key"}), effect).second) errors.Duplicate(field, taint);
  }
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  const std::string_view was = StringAt(before, {"spec", "providerID"});
  if (!was.empty() && StringAt(object, {"spec", "providerID"}) != was) {
    errors.Forbidden("spec.providerID",
                     "node updates may not change providerID except from \"\" to valid");
  }
  const std::string_view cidr = StringAt(before, {"spec", "podCIDR"});
  if (!cidr.empty() && StringAt(object, {"spec", "podCIDR"}) != cidr) {
    errors.Forbidden("spec.podCIDRs",
                     "node updates may not change podCIDR except from \"\" to valid");
  }
}

}  // namespace

Kind NodeKind() {
  return {
      .version = "v1",
      .kind = "Node",
      .plural = "nodes",
      .short_names = {"no"},
      .namespaced = false,
      .types = R"(
# A machine on which pods run.
Node {
  spec    NodeSpec    -- What is wanted of the node.
  status  NodeStatus  -- What is known of the node.
}
# What is wanted of a node.
NodeSpec {
  podCIDR        string             -- The addresses of its pods.
  podCIDRs       [string] set merge dups -- The addresses of its pods, one range a family.
  providerID     string             -- Its name at the provider.
  unschedulable  bool               -- No new pods are placed on it.
  taints         [Taint] atomic     -- Keep pods off that do not tolerate them.
  configSource   any                -- Deprecated; no longer read.
  externalID     string             -- Deprecated; no longer read.
}
# What is known of a node.
NodeStatus {
  capacity            {quantity}                 -- All of its resources.
  allocatable         {quantity}                 -- Its resources that pods may have.
  phase               string                     -- Deprecated.
  conditions          [NodeCondition] key(type) dups  -- Aspects of its state.
  addresses           [NodeAddress] key(type) dups    -- Its addresses.
  daemonEndpoints     NodeDaemonEndpoints = {}   -- Where its daemons listen.
  nodeInfo            NodeSystemInfo             -- What it is.
  images              [ContainerImage] atomic    -- Images that it holds.
  volumesInUse        [string] atomic            -- Volumes that are mounted.
  volumesAttached     [AttachedVolume] atomic    -- Volumes that are attached.
  config              any                        -- Deprecated.
  runtimeHandlers     [NodeRuntimeHandler] atomic -- Runtimes that it has.
  features            NodeFeatures               -- What its runtime can do.
  declaredFeatures    [string] atomic            -- Features that it declares.
}
# One aspect of a node's state.
NodeCondition {
  type!               string         -- Which aspect.
  status!             string         -- True, False or Unknown.
  lastHeartbeatTime   time nullable  -- When the node last said so.
  lastTransitionTime  time nullable  -- When the status last changed.
  reason              string         -- Why, as one word for programs.
  message             string         -- Why, for people.
}
# An address of a node.
NodeAddress {
  type!     string  -- Hostname, ExternalIP or InternalIP.
  address!  string  -- The address.
}
# Where the daemons of a node listen.
NodeDaemonEndpoints {
  kubeletEndpoint  DaemonEndpoint = {"Port": 0}  -- The node agent.
}
# Where a daemon listens.
DaemonEndpoint {
  Port!  int32  -- The port.
}
# What a node is.
NodeSystemInfo {
  machineID!                string          -- The machine's identifier.
  systemUUID!               string          -- The system's identifier.
  bootID!                   string          -- The identifier of this boot.
  kernelVersion!            string          -- The kernel.
  osImage!                  string          -- The operating system.
  containerRuntimeVersion!  string          -- The runtime.
  kubeletVersion!           string          -- The node agent.
  kubeProxyVersion!         string          -- Deprecated.
  operatingSystem!          string          -- linux or windows.
  architecture!             string          -- Such as amd64.
  swap                      NodeSwapStatus  -- Its swap space.
}
# Swap space of a node.
NodeSwapStatus {
  capacity  int64  -- In bytes.
}
# An image that a node holds.
ContainerImage {
  names      [string] atomic  -- Its names.
  sizeBytes  int64            -- Its size.
}
# A volume attached to a node.
AttachedVolume {
  name!        string  -- The volume.
  devicePath!  string  -- The device.
}
# A runtime of a node.
NodeRuntimeHandler {
  name      string                      -- Its name.
  features  NodeRuntimeHandlerFeatures  -- What it can do.
}
# What a runtime can do.
NodeRuntimeHandlerFeatures {
  recursiveReadOnlyMounts  bool  -- Mounts that are read-only all the way down.
  userNamespaces           bool  -- Users of its own.
}
# What the runtime of a node can do.
NodeFeatures {
  supplementalGroupsPolicy  bool  -- Policies for groups of the image.
}
)",
      .columns = {CellColumn("Status", "string", 0, StatusCell),
                  CellColumn("Roles", "string", 0, RolesCell), AgeColumn(),
                  TextColumn("Version", {"status", "nodeInfo", "kubeletVersion"}),
                  AddressColumn("Internal-IP", "InternalIP"),
                  AddressColumn("External-IP", "ExternalIP"),
                  TextColumn("OS-Image", {"status", "nodeInfo", "osImage"}, "<unknown>", 1),
                  TextColumn("Kernel-Version", {"status", "nodeInfo", "kernelVersion"}, "<unknown>",
                             1),
                  TextColumn("Container-Runtime", {"status", "nodeInfo", "containerRuntimeVersion"},
                             "<unknown>", 1)},
      .has_status = true,
      .keeps_status_on_create = true,
      .selectable_fields = {"spec.unschedulable"},
      .prepare =
          [](json::object& object, const json::object* before) {
            // A node agent registers with its status; later it goes through the subresource.
            if (before != nullptr) ResetStatus(object, before);
          },
      .check = Check,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
