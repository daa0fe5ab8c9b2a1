#include "orchestrator/controllers/pod_info.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/strings.h"
#include "orchestrator/controllers/interned.h"

namespace keel::orchestrator {
namespace {

// Annotations that controllers look at; a pod's other ones are not kept.
constexpr std::string_view kKeptAnnotations[] = {
    "batch.kubernetes.io/job-completion-index",
    "controller.kubernetes.io/pod-deletion-cost",
    "kubernetes.io/config.mirror",
};

PodPhase PhaseOf(std::string_view text) {
  if (text == "Running") return PodPhase::kRunning;
  if (text == "Succeeded") return PodPhase::kSucceeded;
  if (text == "Failed") return PodPhase::kFailed;
  if (text == "Unknown") return PodPhase::kUnknown;
  return PodPhase::kPending;
}

std::string_view Lookup(const std::vector<std::pair<std::string, std::string>>& in,
                        std::string_view key) {
  for (const auto& [name, value] : in) {
    if (name == key) return value;
  }
  return {};
}

void ReadContainers(const json::object& pod, PodInfo& info) {
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    for (const json::value& status : ArrayAt(pod, {"status", list})) {
      info.restarts += static_cast<int32_t>(IntAt(status, {"restartCount"}));
      if (!info.terminal() || Find(status, {"state", "terminated"}) == nullptr) continue;
      info.finished =
          std::max(info.finished, TimeOf(StringAt(status, {"state", "terminated", "finishedAt"})));
      info.exit_codes.emplace_back(
          StringAt(status, {"name"}),
          static_cast<int32_t>(IntAt(status, {"state", "terminated", "exitCode"})));
    }
  }
  for (const json::value& container : ArrayAt(pod, {"spec", "containers"})) {
    const json::object& requests = ObjectAt(container, {"resources", "requests"});
    if (const json::value* cpu = Find(requests, {"cpu"})) {
      info.cpu_request_milli += QuantityAt(*cpu, 1000);
    }
    if (const json::value* memory = Find(requests, {"memory"})) {
      info.memory_request_bytes += QuantityAt(*memory, 1);
    }
  }
}

// The node of an affinity by field, as DaemonSets write it.
std::string_view TargetOf(const json::object& pod) {
  const json::array& terms =
      ArrayAt(pod, {"spec", "affinity", "nodeAffinity",
                    "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"});
  if (terms.empty()) return {};
  const json::array& fields = ArrayAt(terms[0], {"matchFields"});
  if (fields.empty() || StringAt(fields[0], {"key"}) != "metadata.name") return {};
  const json::array& values = ArrayAt(fields[0], {"values"});
  return values.size() == 1 && values[0].is_string() ? View(values[0].get_string())
                                                     : std::string_view();
}

void ReadConditions(const json::object& pod, PodInfo& info) {
  for (const json::value& condition : ArrayAt(pod, {"status", "conditions"})) {
    const std::string_view type = StringAt(condition, {"type"});
    const bool is_true = StringAt(condition, {"status"}) == "True";
    if (type == "Ready") {
      info.ready = is_true;
      info.ready_since = TimeOf(StringAt(condition, {"lastTransitionTime"}));
      if (info.terminal() && info.finished == absl::InfinitePast()) {
        info.finished = info.ready_since;
      }
    } else if (type == "DisruptionTarget") {
      info.disruption_target = is_true;
    }
  }
}

std::shared_ptr<const std::vector<OwnerRef>> SharedOwners(const json::object& pod) {
  const json::array& list = ArrayAt(pod, {"metadata", "ownerReferences"});
  if (list.empty()) return PodInfo::NoOwners();
  return Interned(ToJson(list), OwnersOf(pod));
}

std::shared_ptr<const std::vector<NamedPort>> SharedPorts(const json::object& pod) {
  std::vector<NamedPort> ports;
  std::string text;
  for (const json::value& container : ArrayAt(pod, {"spec", "containers"})) {
    for (const json::value& port : ArrayAt(container, {"ports"})) {
      const std::string_view name = StringAt(port, {"name"});
      if (name.empty()) continue;
      const std::string_view protocol = StringAt(port, {"protocol"});
      ports.push_back({std::string(name), std::string(protocol.empty() ? "TCP" : protocol),
                       IntAt(port, {"containerPort"})});
      text += base::StrCat(name, "/", ports.back().protocol, "/", ports.back().port, ",");
    }
  }
  return ports.empty() ? PodInfo::NoPorts() : Interned(text, std::move(ports));
}

}  // namespace

const std::shared_ptr<const std::vector<OwnerRef>>& PodInfo::NoOwners() {
  static const auto& none = *new auto(std::make_shared<const std::vector<OwnerRef>>());
  return none;
}
const std::shared_ptr<const std::vector<NamedPort>>& PodInfo::NoPorts() {
  static const auto& none = *new auto(std::make_shared<const std::vector<NamedPort>>());
  return none;
}

std::vector<OwnerRef> OwnersOf(const json::object& object) {
  std::vector<OwnerRef> owners;
  for (const json::value& reference : ArrayAt(object, {"metadata", "ownerReferences"})) {
    owners.push_back({std::string(StringAt(reference, {"apiVersion"})),
                      std::string(StringAt(reference, {"kind"})),
                      std::string(StringAt(reference, {"name"})),
                      std::string(StringAt(reference, {"uid"})), BoolAt(reference, {"controller"}),
                      BoolAt(reference, {"blockOwnerDeletion"})});
  }
  return owners;
}

OwnerInfo ControllerInfoOf(const json::object& object) {
  for (const json::value& reference : ArrayAt(object, {"metadata", "ownerReferences"})) {
    if (!BoolAt(reference, {"controller"})) continue;
    return {std::string(StringAt(reference, {"kind"})), std::string(StringAt(reference, {"name"})),
            std::string(StringAt(reference, {"uid"}))};
  }
  return {};
}

std::string_view PodInfo::Label(std::string_view key) const { return Lookup(labels, key); }
std::string_view PodInfo::Annotation(std::string_view key) const {
  return Lookup(annotations, key);
}

PodInfo PodInfo::Parse(const json::object& pod) {
  PodInfo info;
  info.ns = StringAt(pod, {"metadata", "namespace"});
  info.name = StringAt(pod, {"metadata", "name"});
  info.uid = StringAt(pod, {"metadata", "uid"});
  info.owner = ControllerInfoOf(pod);
  info.owners = SharedOwners(pod);
  info.ports = SharedPorts(pod);
  for (const auto& [key, value] : ObjectAt(pod, {"metadata", "labels"})) {
    if (const json::string* text = value.if_string()) info.labels.emplace_back(key, View(*text));
  }
  for (std::string_view key : kKeptAnnotations) {
    const std::string_view value = StringAt(pod, {"metadata", "annotations", key});
    if (!value.empty()) info.annotations.emplace_back(key, value);
  }
  for (const json::value& finalizer : ArrayAt(pod, {"metadata", "finalizers"})) {
    if (const json::string* text = finalizer.if_string()) info.finalizers.emplace_back(View(*text));
  }
  info.node = StringAt(pod, {"spec", "nodeName"});
  info.target_node = TargetOf(pod);
  info.pod_ip = StringAt(pod, {"status", "podIP"});
  info.host_ip = StringAt(pod, {"status", "hostIP"});
  info.reason = StringAt(pod, {"status", "reason"});
  info.phase = PhaseOf(StringAt(pod, {"status", "phase"}));
  info.mirror = !info.Annotation("kubernetes.io/config.mirror").empty();
  const std::string_view restart_policy = StringAt(pod, {"spec", "restartPolicy"});
  info.restarts_always = restart_policy.empty() || restart_policy == "Always";
  info.priority = static_cast<int32_t>(IntAt(pod, {"spec", "priority"}));
  info.generation = IntAt(pod, {"metadata", "generation"});
  const std::string_view version = StringAt(pod, {"metadata", "resourceVersion"});
  info.resource_version = std::strtoull(std::string(version).c_str(), nullptr, 10);
  info.created = TimeOf(StringAt(pod, {"metadata", "creationTimestamp"}));
  info.started = TimeOf(StringAt(pod, {"status", "startTime"}));
  const std::string_view deleted = StringAt(pod, {"metadata", "deletionTimestamp"});
  info.deleting = !deleted.empty();
  if (info.deleting) info.deleted = TimeOf(deleted, absl::InfiniteFuture());
  for (const json::value& volume : ArrayAt(pod, {"spec", "volumes"})) {
    const std::string_view claim = StringAt(volume, {"persistentVolumeClaim", "claimName"});
    if (!claim.empty()) info.claims.emplace_back(claim);
  }
  info.tolerations = ArrayAt(pod, {"spec", "tolerations"});
  ReadContainers(pod, info);
  ReadConditions(pod, info);
  return info;
}

absl::Time TimeOf(std::string_view rfc3339, absl::Time otherwise) {
  absl::Time time;
  return absl::ParseTime(absl::RFC3339_full, base::ToAbsl(rfc3339), &time, nullptr) ? time
                                                                                    : otherwise;
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

std::string MicroTimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

int64_t QuantityAt(const json::value& quantity, int64_t scale) {
  if (const int64_t* whole = quantity.if_int64()) return *whole * scale;
  if (const double* real = quantity.if_double()) {
    return static_cast<int64_t>(std::ceil(*real * static_cast<double>(scale)));
  }
  const json::string* text = quantity.if_string();
  if (text == nullptr) return 0;
  const std::string copy(View(*text));
  char* end = nullptr;
  const double number = std::strtod(copy.c_str(), &end);
  const std::string_view suffix = end;
  static constexpr std::pair<std::string_view, double> kSuffixes[] = {
      {"", 1},        {"n", 1e-9},    {"u", 1e-6},    {"m", 1e-3},
      {"k", 1e3},     {"M", 1e6},     {"G", 1e9},     {"T", 1e12},
      {"P", 1e15},    {"E", 1e18},    {"Ki", 0x1p10}, {"Mi", 0x1p20},
      {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60},
  };
  for (const auto& [name, factor] : kSuffixes) {
    if (name != suffix) continue;
    const double exact = number * factor * static_cast<double>(scale);
    // What binary fractions add to a decimal ("0.1" of 1000) is no reason to round up.
    return static_cast<int64_t>(std::ceil(exact - std::abs(exact) * 1e-12));
  }
  return 0;
}

}  // namespace keel::orchestrator
