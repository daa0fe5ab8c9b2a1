#include "orchestrator/kinds/common/pod_spec.h"

#include <initializer_list>

#include "orchestrator/api/quantity.h"
#include "orchestrator/kinds/common/prepare.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kContainerLists[] = {"initContainers", "containers",
                                                "ephemeralContainers"};

// The tag of "registry:5000/a/b:tag@sha256:..."; "latest" when there is neither tag nor digest.
std::string_view TagOf(std::string_view image) {
  if (image.find('@') != std::string_view::npos) return {};
  const size_t slash = image.rfind('/');
  const std::string_view last = slash == std::string_view::npos ? image : image.substr(slash + 1);
  const size_t colon = last.rfind(':');
  return colon == std::string_view::npos ? "latest" : last.substr(colon + 1);
}

void SetContainerDefaults(json::object& container, bool host_network) {
  if (!container.contains("imagePullPolicy")) {
    container["imagePullPolicy"] =
        TagOf(StringAt(container, {"image"})) == "latest" ? "Always" : "IfNotPresent";
  }
  if (!host_network) return;
  if (json::array* ports = ArrayIn(container, {"ports"})) {
    for (json::value& port : *ports) {
      if (port.is_object() && IntAt(port, {"hostPort"}) == 0) {
        if (const int64_t number = IntAt(port, {"containerPort"}); number != 0) {
          port.get_object()["hostPort"] = number;
        }
      }
    }
  }
}

bool IsZero(const json::value& value) {
  const auto quantity = Quantity::FromJson(value);
  return quantity.ok() && quantity->IsZero();
}

}  // namespace

void SetPodSpecDefaults(json::object& spec) {
  const bool host_network = BoolAt(spec, {"hostNetwork"});
  for (std::string_view list : kContainerLists) {
    json::array* containers = ArrayIn(spec, {list});
    if (containers == nullptr) continue;
    for (json::value& container : *containers) {
      if (container.is_object()) SetContainerDefaults(container.get_object(), host_network);
    }
  }
  if (json::array* volumes = ArrayIn(spec, {"volumes"})) {
    for (json::value& volume : *volumes) {
      // Without any source: an empty folder.
      if (volume.is_object() && volume.get_object().size() == 1 &&
          volume.get_object().contains("name")) {
        volume.get_object()["emptyDir"] = json::object();
      }
    }
  }
  const std::string name(StringAt(spec, {"serviceAccountName"}));
  const std::string older(StringAt(spec, {"serviceAccount"}));
  if (!name.empty()) {
    spec["serviceAccount"] = name;
  } else if (!older.empty()) {
    spec["serviceAccountName"] = older;
  }
}

void SetPodTemplateDefaults(json::object& object, JsonPath template_path) {
  json::object* pod_template = ObjectIn(object, template_path);
  if (pod_template == nullptr) return;
  // As Kubernetes shows templates: with an empty metadata.
  if (!pod_template->contains("metadata")) (*pod_template)["metadata"] = json::object();
  if (json::object* spec = ObjectIn(*pod_template, {"spec"})) SetPodSpecDefaults(*spec);
}

void SetRequestsFromLimits(json::object& spec) {
  for (std::string_view list : {"initContainers", "containers"}) {
    json::array* containers = ArrayIn(spec, {list});
    if (containers == nullptr) continue;
    for (json::value& container : *containers) {
      const json::object limits = ObjectAt(container, {"resources", "limits"});
      if (limits.empty()) continue;
      json::value& requests = *Ensure(container, {"resources", "requests"});
      if (!requests.is_object()) requests = json::object();
      for (const auto& [name, quantity] : limits) {
        if (!requests.get_object().contains(name)) requests.get_object()[name] = quantity;
      }
    }
  }
}

std::string_view QosClassOf(const json::object& spec) {
  bool any = false;
  bool guaranteed = true;
  for (std::string_view list : {"initContainers", "containers"}) {
    for (const json::value& container : ArrayAt(spec, {list})) {
      const json::object& requests = ObjectAt(container, {"resources", "requests"});
      const json::object& limits = ObjectAt(container, {"resources", "limits"});
      for (const char* resource : {"cpu", "memory"}) {
        const json::value* request = requests.if_contains(resource);
        const json::value* limit = limits.if_contains(resource);
        if (request != nullptr && IsZero(*request)) request = nullptr;
        if (limit != nullptr && IsZero(*limit)) limit = nullptr;
        if (request != nullptr || limit != nullptr) any = true;
        if (limit == nullptr) {
          guaranteed = false;
        } else if (request != nullptr) {
          const auto asked = Quantity::FromJson(*request);
          const auto most = Quantity::FromJson(*limit);
          if (!asked.ok() || !most.ok() || *asked != *most) guaranteed = false;
        }
      }
    }
  }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

}  // namespace keel::orchestrator
