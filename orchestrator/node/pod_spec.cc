#include "orchestrator/node/pod_spec.h"

#include <algorithm>

#include "base/strings.h"
#include "orchestrator/api/quantity.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kSettingPrefix = "keel.io/hollow-";

NodeResources RequestsOf(const json::value& container) {
  const json::object& requests = ObjectAt(container, {"resources", "requests"});
  NodeResources sum;
  if (const json::value* cpu = requests.if_contains("cpu"))
    sum.cpu_milli = Quantity::Of(*cpu).MilliValue();
  if (const json::value* memory = requests.if_contains("memory")) {
    sum.memory_bytes = Quantity::Of(*memory).Value();
  }
  return sum;
}

void Add(NodeResources& to, const NodeResources& more) {
  to.cpu_milli += more.cpu_milli;
  to.memory_bytes += more.memory_bytes;
}

ContainerSpec ParseContainer(const json::value& container) {
  ContainerSpec spec;
  spec.name = StringAt(container, {"name"});
  spec.image = StringAt(container, {"image"});
  spec.ready_after_seconds =
      static_cast<int32_t>(IntAt(container, {"readinessProbe", "initialDelaySeconds"}));
  spec.sidecar = StringAt(container, {"restartPolicy"}) == "Always";
  return spec;
}

PodSpec Parse(const json::object& pod) {
  PodSpec spec;
  NodeResources sidecars, largest_init;
  for (const json::value& container : ArrayAt(pod, {"spec", "initContainers"})) {
    spec.init_containers.push_back(ParseContainer(container));
    NodeResources needs = RequestsOf(container);
    Add(needs, sidecars);
    if (spec.init_containers.back().sidecar) sidecars = needs;
    largest_init.cpu_milli = std::max(largest_init.cpu_milli, needs.cpu_milli);
    largest_init.memory_bytes = std::max(largest_init.memory_bytes, needs.memory_bytes);
  }
  spec.requests = sidecars;
  for (const json::value& container : ArrayAt(pod, {"spec", "containers"})) {
    spec.containers.push_back(ParseContainer(container));
    Add(spec.requests, RequestsOf(container));
  }
  spec.requests.cpu_milli = std::max(spec.requests.cpu_milli, largest_init.cpu_milli);
  spec.requests.memory_bytes = std::max(spec.requests.memory_bytes, largest_init.memory_bytes);
  const std::string_view policy = StringAt(pod, {"spec", "restartPolicy"});
  if (policy == "Never") spec.restart_policy = RestartPolicy::kNever;
  if (policy == "OnFailure") spec.restart_policy = RestartPolicy::kOnFailure;
  spec.host_network = BoolAt(pod, {"spec", "hostNetwork"});
  for (const auto& [name, value] : ObjectAt(pod, {"spec", "nodeSelector"})) {
    if (value.is_string()) spec.node_selector.emplace_back(name, View(value.get_string()));
  }
  for (const auto& [name, value] : ObjectAt(pod, {"metadata", "annotations"})) {
    const std::string_view view(name.data(), name.size());
    if (view.starts_with(kSettingPrefix) && value.is_string()) {
      spec.settings.emplace_back(view.substr(kSettingPrefix.size()), View(value.get_string()));
    }
  }
  return spec;
}

// Two pods with the same text have the same PodSpec.
std::string Fingerprint(const PodSpec& spec) {
  std::string text = base::StrCat(static_cast<int>(spec.restart_policy), " ", spec.host_network,
                                  " ", spec.requests.cpu_milli, " ", spec.requests.memory_bytes);
  const auto quote = [&text](std::string_view part) {
    text += base::StrCat(" ", part.size(), ":", part);
  };
  for (const auto* list : {&spec.init_containers, &spec.containers}) {
    text += base::StrCat(" ", list->size());
    for (const ContainerSpec& container : *list) {
      quote(container.name);
      quote(container.image);
      text += base::StrCat(" ", container.ready_after_seconds, " ", container.sidecar);
    }
  }
  for (const auto* map : {&spec.node_selector, &spec.settings}) {
    text += base::StrCat(" ", map->size());
    for (const auto& [name, value] : *map) {
      quote(name);
      quote(value);
    }
  }
  return text;
}

}  // namespace

std::string_view PodSpec::Setting(std::string_view name) const {
  for (const auto& [known, value] : settings) {
    if (known == name) return value;
  }
  return {};
}

std::shared_ptr<const PodSpec> PodSpecs::Intern(const json::object& pod) {
  PodSpec spec = Parse(pod);
  auto& slot = specs_[Fingerprint(spec)];
  std::shared_ptr<const PodSpec> known = slot.lock();
  if (known == nullptr) {
    known = std::make_shared<const PodSpec>(std::move(spec));
    slot = known;
    if (specs_.size() >= sweep_at_) Sweep();
  }
  return known;
}

void PodSpecs::Sweep() {
  for (auto it = specs_.begin(); it != specs_.end();) {
    const auto next = std::next(it);
    if (it->second.expired()) specs_.erase(it);
    it = next;
  }
  sweep_at_ = std::max<size_t>(64, specs_.size() * 2);
}

}  // namespace keel::orchestrator
