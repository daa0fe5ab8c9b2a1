#include "orchestrator/node/node_set.h"

#include <sys/utsname.h>

#include "base/strings.h"
#include "orchestrator/api/time.h"
#include "orchestrator/node/hollow_runtime.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kVersion = "v1.35.0+keel";

// The machine's, in Go's words.
std::string_view Architecture() {
#if defined(__aarch64__)
  return "arm64";
#else
  return "amd64";
#endif
}

std::string KernelVersion() {
  utsname name{};
  return uname(&name) == 0 ? name.release : "unknown";
}

json::object Condition(std::string_view type, bool holds, std::string_view reason,
                       std::string_view message, absl::Time now, absl::Time changed) {
  return {{"type", type},
          {"status", holds ? "True" : "False"},
          {"lastHeartbeatTime", orchestrator::FormatTime(now)},
          {"lastTransitionTime", orchestrator::FormatTime(changed)},
          {"reason", reason},
          {"message", message}};
}

}  // namespace

NodeSet::NodeSet(NodeSetOptions options) : options_(std::move(options)) {
  nodes_.resize(options_.count);
  for (uint32_t i = 0; i < options_.count; ++i) {
    const uint32_t number = options_.first + i;
    nodes_[i].name = base::StrCat(options_.name_prefix, number);
    nodes_[i].ip = base::StrCat("172.", 16 + ((number >> 16) & 15), ".", (number >> 8) & 255, ".",
                                number & 255);
    by_name_[nodes_[i].name] = i;
  }
}

std::optional<uint32_t> NodeSet::Find(std::string_view name) const {
  const auto found = by_name_.find(base::ToAbsl(name));
  if (found == by_name_.end()) return std::nullopt;
  return found->second;
}

json::object NodeSet::Labels(uint32_t index) const {
  json::object labels{{"beta.kubernetes.io/arch", Architecture()},
                      {"beta.kubernetes.io/os", "linux"},
                      {"kubernetes.io/arch", Architecture()},
                      {"kubernetes.io/hostname", nodes_[index].name},
                      {"kubernetes.io/os", "linux"},
                      {"node.keel.io/runtime", "hollow"}};
  if (options_.zones > 0) {
    labels["topology.kubernetes.io/region"] = options_.region;
    labels["topology.kubernetes.io/zone"] =
        base::StrCat("zone-", (options_.first + index) % options_.zones);
  }
  for (const auto& [name, value] : options_.labels) labels[name] = value;
  return labels;
}

json::object NodeSet::Status(uint32_t index, absl::Time now) const {
  const HollowNode& node = nodes_[index];
  const absl::Time since = node.ready_since == absl::InfinitePast() ? now : node.ready_since;
  const uint32_t number = options_.first + index;
  const json::object amounts{
      {"cpu", options_.capacity.cpu_milli % 1000 == 0
                  ? std::to_string(options_.capacity.cpu_milli / 1000)
                  : base::StrCat(options_.capacity.cpu_milli, "m")},
      {"ephemeral-storage", base::StrCat(options_.storage_bytes >> 10, "Ki")},
      {"memory", base::StrCat(options_.capacity.memory_bytes >> 10, "Ki")},
      {"pods", std::to_string(options_.capacity.pods)}};
  static const std::string kernel = KernelVersion();
  return {
      {"capacity", amounts},
      {"allocatable", amounts},
      {"conditions", json::array{Condition("MemoryPressure", false, "KubeletHasSufficientMemory",
                                           "kubelet has sufficient memory available", now, since),
                                 Condition("DiskPressure", false, "KubeletHasNoDiskPressure",
                                           "kubelet has no disk pressure", now, since),
                                 Condition("PIDPressure", false, "KubeletHasSufficientPID",
                                           "kubelet has sufficient PID available", now, since),
                                 Condition("Ready", true, "KubeletReady",
                                           "kubelet is posting ready status", now, since)}},
      {"addresses", json::array{json::object{{"type", "InternalIP"}, {"address", node.ip}},
                                json::object{{"type", "Hostname"}, {"address", node.name}}}},
      {"daemonEndpoints", {{"kubeletEndpoint", {{"Port", 10250}}}}},
      {"nodeInfo",
       {{"architecture", Architecture()},
        {"bootID", base::StrCat("b0070000-0000-4000-8000-", absl::Hex(number, absl::kZeroPad12))},
        {"containerRuntimeVersion", options_.runtime_version},
        {"kernelVersion", kernel},
        {"kubeProxyVersion", kVersion},
        {"kubeletVersion", kVersion},
        {"machineID", base::StrCat("40110e00000000000000", absl::Hex(number, absl::kZeroPad12))},
        {"operatingSystem", "linux"},
        {"osImage", "Keel hollow node"},
        {"systemUUID",
         base::StrCat("40110e00-0000-4000-8000-", absl::Hex(number, absl::kZeroPad12))}}}};
}

json::object NodeSet::NodeObject(uint32_t index, absl::Time now) const {
  const std::string cidr = HollowRuntime::PodCidr(options_.first + index);
  json::object spec{{"podCIDR", cidr},
                    {"podCIDRs", json::array{json::value(cidr)}},
                    {"providerID", base::StrCat("hollow://", nodes_[index].name)}};
  if (!options_.taints.empty()) spec["taints"] = options_.taints;
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata", {{"name", nodes_[index].name}, {"labels", Labels(index)}}},
          {"spec", std::move(spec)},
          {"status", Status(index, now)}};
}

json::object NodeSet::LabelsPatch(uint32_t index) const {
  return {{"metadata", {{"labels", Labels(index)}}}};
}

json::object NodeSet::StatusPatch(uint32_t index, absl::Time now) const {
  return {{"status", Status(index, now)}};
}

json::object NodeSet::LeaseObject(uint32_t index, absl::Duration duration, absl::Time now) const {
  const HollowNode& node = nodes_[index];
  return {
      {"apiVersion", "coordination.k8s.io/v1"},
      {"kind", "Lease"},
      {"metadata",
       {{"name", node.name},
        {"namespace", "kube-node-lease"},
        {"ownerReferences",
         json::array{json::object{
             {"apiVersion", "v1"}, {"kind", "Node"}, {"name", node.name}, {"uid", node.uid}}}}}},
      {"spec",
       {{"holderIdentity", node.name},
        {"leaseDurationSeconds", absl::ToInt64Seconds(duration)},
        {"renewTime", FormatMicroTime(now)}}}};
}

std::optional<NodeSet::Rejection> NodeSet::Admit(uint32_t index, const PodSpec& spec) {
  HollowNode& node = nodes_[index];
  const json::object labels = spec.node_selector.empty() ? json::object() : Labels(index);
  for (const auto& [name, value] : spec.node_selector) {
    const json::value* has = labels.if_contains(name);
    // A label that only the API knows of is the scheduler's business.
    if (has != nullptr && View(has->get_string()) != value) {
      return Rejection{
          "NodeAffinity",
          "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's "
          "node affinity/selector"};
    }
  }
  const auto lacking = [](std::string_view what, int64_t wanted, int64_t used, int64_t capacity) {
    return Rejection{
        base::StrCat("OutOf", what),
        base::StrCat("Pod was rejected: Node didn't have enough resource: ", what,
                     ", requested: ", wanted, ", used: ", used, ", capacity: ", capacity)};
  };
  const NodeResources& all = options_.capacity;
  const NodeResources& wanted = spec.requests;
  if (node.used.pods + 1 > all.pods) return lacking("pods", 1, node.used.pods, all.pods);
  if (wanted.cpu_milli > 0 && node.used.cpu_milli + wanted.cpu_milli > all.cpu_milli) {
    return lacking("cpu", wanted.cpu_milli, node.used.cpu_milli, all.cpu_milli);
  }
  if (wanted.memory_bytes > 0 && node.used.memory_bytes + wanted.memory_bytes > all.memory_bytes) {
    return lacking("memory", wanted.memory_bytes, node.used.memory_bytes, all.memory_bytes);
  }
  node.used.pods += 1;
  node.used.cpu_milli += wanted.cpu_milli;
  node.used.memory_bytes += wanted.memory_bytes;
  return std::nullopt;
}

void NodeSet::Release(uint32_t index, const PodSpec& spec) {
  NodeResources& used = nodes_[index].used;
  used.pods -= 1;
  used.cpu_milli -= spec.requests.cpu_milli;
  used.memory_bytes -= spec.requests.memory_bytes;
}

}  // namespace keel::orchestrator
