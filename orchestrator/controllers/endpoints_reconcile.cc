#include "orchestrator/controllers/endpoints_reconcile.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

constexpr size_t kMaxAddresses = 1000;
constexpr std::string_view kManagedBy = "endpointslice-controller.k8s.io";
constexpr std::string_view kOverCapacity = "endpoints.kubernetes.io/over-capacity";

// The port on the pod; 0 when it has none of that name.
int64_t TargetPort(const json::value& port, const PodInfo& pod) {
  const json::value* target = Find(port, {"targetPort"});
  if (target == nullptr) return IntAt(port, {"port"});
  if (target->is_number()) {
    const int64_t number = IntAt(*target, {});
    return number == 0 ? IntAt(port, {"port"}) : number;
  }
  const std::string_view protocol = StringAt(port, {"protocol"});
  for (const NamedPort& named : *pod.ports) {
    if (target->is_string() && named.name == View(target->get_string()) &&
        named.protocol == (protocol.empty() ? "TCP" : protocol)) {
      return named.port;
    }
  }
  return 0;
}

json::array PortsFor(const json::object& service, const PodInfo& pod, bool slice) {
  json::array ports;
  for (const json::value& port : ArrayAt(service, {"spec", "ports"})) {
    const int64_t number = TargetPort(port, pod);
    if (number == 0) continue;
    const std::string_view protocol = StringAt(port, {"protocol"});
    json::object entry;
    if (const std::string_view name = StringAt(port, {"name"}); !name.empty() || slice) {
      entry["name"] = name;
    }
    entry["port"] = number;
    entry["protocol"] = protocol.empty() ? "TCP" : protocol;
    if (const std::string_view app = StringAt(port, {"appProtocol"}); !app.empty()) {
      entry["appProtocol"] = app;
    }
    ports.push_back(std::move(entry));
  }
  return ports;
}

bool PublishesNotReady(const json::object& service) {
  return BoolAt(service, {"spec", "publishNotReadyAddresses"});
}

json::object TargetOf(const PodInfo& pod) {
  return {{"kind", "Pod"},
          {"namespace", std::string_view(pod.ns)},
          {"name", std::string_view(pod.name)},
          {"uid", std::string_view(pod.uid)}};
}

json::object EndpointOf(const json::object& service, const PodInfo& pod) {
  const bool serving = pod.ready;
  const bool ready = (serving && !pod.deleting) || PublishesNotReady(service);
  json::object endpoint{
      {"addresses", json::array{json::value(std::string_view(pod.pod_ip))}},
      {"conditions", {{"ready", ready}, {"serving", serving}, {"terminating", pod.deleting}}},
      {"targetRef", TargetOf(pod)}};
  if (!pod.node.empty()) endpoint["nodeName"] = std::string_view(pod.node);
  return endpoint;
}

json::object OwnedMetadata(const json::object& service) {
  json::object labels = ObjectAt(service, {"metadata", "labels"});
  if (StringAt(service, {"spec", "clusterIP"}) == "None") {
    labels["service.kubernetes.io/headless"] = "";
  }
  return {{"namespace", NamespaceOf(service)}, {"labels", std::move(labels)}};
}

class Slices {
 public:
  explicit Slices(const SlicesState& state) : state_(state) {}

  Plan Run() {
    // Pods differ in their ports where a service names them: each set of ports has its own slices.
    std::map<std::string, std::map<std::string, json::object>> wanted;
    for (const PodInfo* pod : state_.pods) {
      if (pod->pod_ip.empty() || pod->terminal()) continue;
      const json::array ports = PortsFor(state_.service, *pod, true);
      if (ports.empty() && !ArrayAt(state_.service, {"spec", "ports"}).empty()) continue;
      wanted[ToJson(ports)][std::string(pod->uid)] = EndpointOf(state_.service, *pod);
    }
    if (wanted.empty()) wanted[ToJson(json::array())];
    std::map<std::string, std::vector<const json::object*>> existing;
    for (const json::object* slice : state_.slices) {
      existing[ToJson(ArrayAt(*slice, {"ports"}))].push_back(slice);
    }
    for (auto& [ports, endpoints] : wanted) {
      Group(ports, std::move(endpoints), existing[ports]);
      existing.erase(ports);
    }
    for (const auto& [ports, slices] : existing) {
      for (const json::object* slice : slices) Delete(*slice);
    }
    return std::move(plan_);
  }

 private:
  // Endpoints of one set of ports: kept where they are, the rest into what has room.
  void Group(const std::string& ports, std::map<std::string, json::object> endpoints,
             const std::vector<const json::object*>& slices) {
    struct Filling {
      const json::object* slice;
      json::array endpoints;
    };
    std::vector<Filling> fillings;
    for (const json::object* slice : slices) {
      Filling filling{slice, {}};
      for (const json::value& endpoint : ArrayAt(*slice, {"endpoints"})) {
        auto found = endpoints.find(std::string(StringAt(endpoint, {"targetRef", "uid"})));
        if (found == endpoints.end()) continue;
        filling.endpoints.push_back(std::move(found->second));
        endpoints.erase(found);
      }
      fillings.push_back(std::move(filling));
    }
    // The fullest first: the others may become empty.
    std::stable_sort(fillings.begin(), fillings.end(), [](const Filling& a, const Filling& b) {
      return a.endpoints.size() > b.endpoints.size();
    });
    for (Filling& filling : fillings) {
      while (!endpoints.empty() && filling.endpoints.size() < kMaxEndpointsPerSlice) {
        filling.endpoints.push_back(std::move(endpoints.begin()->second));
        endpoints.erase(endpoints.begin());
      }
    }
    bool kept = false;
    for (Filling& filling : fillings) {
      if (filling.endpoints.empty() && (kept || &filling != &fillings.back())) {
        Delete(*filling.slice);
        continue;
      }
      kept = true;
      Update(*filling.slice, std::move(filling.endpoints));
    }
    while (!endpoints.empty() || !kept) {
      json::array some;
      while (!endpoints.empty() && some.size() < kMaxEndpointsPerSlice) {
        some.push_back(std::move(endpoints.begin()->second));
        endpoints.erase(endpoints.begin());
      }
      Create(ports, std::move(some));
      kept = true;
    }
  }

  json::object Labels() const {
    json::object labels = ObjectAt(OwnedMetadata(state_.service), {"labels"});
    labels["kubernetes.io/service-name"] = NameOf(state_.service);
    labels["endpointslice.kubernetes.io/managed-by"] = kManagedBy;
    return labels;
  }

  void Create(const std::string& ports, json::array endpoints) {
    json::object metadata{
        {"namespace", NamespaceOf(state_.service)},
        {"generateName", base::StrCat(NameOf(state_.service), "-")},
        {"labels", Labels()},
        {"ownerReferences", json::array{OwnerReferenceTo("v1", "Service", state_.service)}}};
    plan_.requests.push_back({.verb = Request::Verb::kCreate,
                              .resource = kEndpointSliceRef,
                              .ns = std::string(NamespaceOf(state_.service)),
                              .body = {{"apiVersion", "discovery.k8s.io/v1"},
                                       {"kind", "EndpointSlice"},
                                       {"metadata", std::move(metadata)},
                                       {"addressType", "IPv4"},
                                       {"endpoints", std::move(endpoints)},
                                       {"ports", ParseJson(ports).value()}}});
  }

  void Update(const json::object& slice, json::array endpoints) {
    json::object labels = Labels();
    if (endpoints == ArrayAt(slice, {"endpoints"}) &&
        labels == ObjectAt(slice, {"metadata", "labels"})) {
      return;
    }
    plan_.requests.push_back(
        {.verb = Request::Verb::kMergePatch,
         .resource = kEndpointSliceRef,
         .ns = std::string(NamespaceOf(slice)),
         .name = std::string(NameOf(slice)),
         .body = {{"metadata",
                   {{"resourceVersion", StringAt(slice, {"metadata", "resourceVersion"})},
                    {"labels", std::move(labels)}}},
                  {"endpoints", std::move(endpoints)}}});
  }

  void Delete(const json::object& slice) {
    plan_.requests.push_back(
        DeleteRequest(kEndpointSliceRef, NamespaceOf(slice), NameOf(slice), UidOf(slice)));
  }

  const SlicesState& state_;
  Plan plan_;
};

}  // namespace

bool HasEndpoints(const json::object& service) {
  return !ObjectAt(service, {"spec", "selector"}).empty() &&
         StringAt(service, {"spec", "type"}) != "ExternalName";
}

bool Selects(const json::object& service, const PodInfo& pod) {
  const json::object& selector = ObjectAt(service, {"spec", "selector"});
  return !selector.empty() && std::all_of(selector.begin(), selector.end(), [&](const auto& label) {
    const std::string_view wanted =
        label.value().is_string() ? View(label.value().get_string()) : std::string_view();
    for (const auto& [name, value] : pod.labels) {
      if (std::string_view(name) == std::string_view(label.key().data(), label.key().size())) {
        return std::string_view(value) == wanted;
      }
    }
    return false;
  });
}

json::array SubsetsOf(const json::object& service, const std::vector<const PodInfo*>& pods,
                      bool* truncated) {
  struct Subset {
    json::array ports;
    std::map<std::string, json::object> ready, not_ready;  // by address and uid
  };
  std::map<std::string, Subset> subsets;
  const bool all = PublishesNotReady(service);
  const bool headless = StringAt(service, {"spec", "clusterIP"}) == "None";
  std::vector<const PodInfo*> sorted = pods;
  // Those that are ready first, should there be too many.
  std::sort(sorted.begin(), sorted.end(), [](const PodInfo* a, const PodInfo* b) {
    return std::pair(!a->ready, std::string_view(a->uid)) <
           std::pair(!b->ready, std::string_view(b->uid));
  });
  size_t count = 0;
  for (const PodInfo* pod : sorted) {
    if (pod->pod_ip.empty() || pod->terminal() || (pod->deleting && !all)) continue;
    json::array ports = PortsFor(service, *pod, false);
    if (ports.empty() && !(headless && ArrayAt(service, {"spec", "ports"}).empty())) continue;
    if (++count > kMaxAddresses) {
      if (truncated != nullptr) *truncated = true;
      break;
    }
    json::object address{{"ip", std::string_view(pod->pod_ip)}};
    if (!pod->node.empty()) address["nodeName"] = std::string_view(pod->node);
    address["targetRef"] = TargetOf(*pod);
    Subset& subset = subsets[ToJson(ports)];
    subset.ports = std::move(ports);
    const std::string key = base::StrCat(pod->pod_ip, "/", pod->uid);
    (pod->ready || all ? subset.ready : subset.not_ready)[key] = std::move(address);
  }
  json::array result;
  for (auto& [key, subset] : subsets) {
    json::object object;
    const auto add = [&](const char* name, std::map<std::string, json::object>& from) {
      if (from.empty()) return;
      json::array& list = object[name].emplace_array();
      for (auto& [address_key, address] : from) list.push_back(std::move(address));
    };
    add("addresses", subset.ready);
    add("notReadyAddresses", subset.not_ready);
    if (!subset.ports.empty()) object["ports"] = std::move(subset.ports);
    result.push_back(std::move(object));
  }
  return result;
}

Plan ReconcileEndpoints(const json::object& service, const std::vector<const PodInfo*>& pods,
                        const json::object* current) {
  Plan plan;
  bool truncated = false;
  json::array subsets = SubsetsOf(service, pods, &truncated);
  json::object metadata = OwnedMetadata(service);
  if (current == nullptr) {
    metadata["name"] = NameOf(service);
    if (truncated) *Ensure(metadata, {"annotations", kOverCapacity}) = "truncated";
    plan.requests.push_back({.verb = Request::Verb::kCreate,
                             .resource = kEndpointsRef,
                             .ns = std::string(NamespaceOf(service)),
                             .name = std::string(NameOf(service)),
                             .body = {{"apiVersion", "v1"},
                                      {"kind", "Endpoints"},
                                      {"metadata", std::move(metadata)},
                                      {"subsets", std::move(subsets)}}});
    return plan;
  }
  const json::object& labels = ObjectAt(metadata, {"labels"});
  const bool was_truncated =
      StringAt(*current, {"metadata", "annotations", kOverCapacity}) == "truncated";
  if (subsets == ArrayAt(*current, {"subsets"}) && was_truncated == truncated &&
      labels == ObjectAt(*current, {"metadata", "labels"})) {
    return plan;
  }
  json::object patch_labels = labels;
  for (const auto& [name, value] : ObjectAt(*current, {"metadata", "labels"})) {
    if (!labels.contains(name)) patch_labels[name] = nullptr;
  }
  plan.requests.push_back(
      {.verb = Request::Verb::kMergePatch,
       .resource = kEndpointsRef,
       .ns = std::string(NamespaceOf(service)),
       .name = std::string(NameOf(service)),
       .body = {{"metadata",
                 {{"resourceVersion", StringAt(*current, {"metadata", "resourceVersion"})},
                  {"labels", std::move(patch_labels)},
                  {"annotations",
                   {{kOverCapacity, truncated ? json::value("truncated") : json::value()}}}}},
                {"subsets", std::move(subsets)}}});
  return plan;
}

Plan ReconcileSlices(const SlicesState& state) { return Slices(state).Run(); }

}  // namespace keel::orchestrator
