#include "orchestrator/api/pod_resources.h"

#include <algorithm>

namespace keel::orchestrator {

namespace {

void Add(ResourceList& to, const ResourceList& what) {
  for (const auto& [name, quantity] : what) to[name] += quantity;
}

void Raise(ResourceList& to, const ResourceList& least) {
  for (const auto& [name, quantity] : least) {
    Quantity& mine = to[name];
    if (mine < quantity) mine = quantity;
  }
}

}  // namespace

ResourceList ReadResources(const json::object& in) {
  ResourceList out;
  for (const auto& [name, value] : in) out[std::string(name)] = Quantity::Of(value);
  return out;
}

ResourceList PodResources(const json::object& pod, std::string_view part) {
  ResourceList total, sidecars, init;
  for (const json::value& container : ArrayAt(pod, {"spec", "containers"})) {
    Add(total, ReadResources(ObjectAt(container, {"resources", part})));
  }
  for (const json::value& container : ArrayAt(pod, {"spec", "initContainers"})) {
    ResourceList its = ReadResources(ObjectAt(container, {"resources", part}));
    if (StringAt(container, {"restartPolicy"}) == "Always") {
      Add(total, its);
      Add(sidecars, its);
      Raise(init, sidecars);
    } else {
      // It runs beside the sidecars that were started before it.
      Add(its, sidecars);
      Raise(init, its);
    }
  }
  Raise(total, init);
  const ResourceList overhead = ReadResources(ObjectAt(pod, {"spec", "overhead"}));
  for (const auto& [name, quantity] : overhead) {
    if (part == "requests" || total.contains(name)) total[name] += quantity;
  }
  return total;
}

}  // namespace keel::orchestrator
