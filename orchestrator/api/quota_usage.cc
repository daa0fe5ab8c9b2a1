#include "orchestrator/api/quota_usage.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/strings.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

const Quantity kOne = Quantity::FromInt(1);

// Of these a quota counts the objects by their bare name too.
constexpr std::string_view kCounted[] = {"configmaps",     "persistentvolumeclaims",
                                         "pods",           "replicationcontrollers",
                                         "resourcequotas", "secrets",
                                         "services"};

void AddPod(const json::object& pod, ResourceList& out) {
  // One that has ended uses nothing.
  const std::string_view phase = StringAt(pod, {"status", "phase"});
  if (phase == "Succeeded" || phase == "Failed") {
    out.erase("pods");
    return;
  }
  for (const auto& [name, quantity] : PodResources(pod, "requests")) {
    out[StrCat("requests.", name)] = quantity;
    if (name == "cpu" || name == "memory" || name == "ephemeral-storage") out[name] = quantity;
  }
  for (const auto& [name, quantity] : PodResources(pod, "limits")) {
    out[StrCat("limits.", name)] = quantity;
  }
}

void AddService(const json::object& service, ResourceList& out) {
  const std::string_view type = StringAt(service, {"spec", "type"});
  const auto ports = static_cast<int64_t>(ArrayAt(service, {"spec", "ports"}).size());
  if (type == "LoadBalancer") out["services.loadbalancers"] = kOne;
  if (type == "NodePort" || (type == "LoadBalancer" &&
                             BoolAt(service, {"spec", "allocateLoadBalancerNodePorts"}, true))) {
    out["services.nodeports"] = Quantity::FromInt(ports);
  }
}

void AddClaim(const json::object& claim, ResourceList& out) {
  const ResourceList asked = ReadResources(ObjectAt(claim, {"spec", "resources", "requests"}));
  const auto storage = asked.find("storage");
  if (storage != asked.end()) out["requests.storage"] = storage->second;
  const std::string_view its = StringAt(claim, {"spec", "storageClassName"});
  if (its.empty()) return;
  const std::string prefix = StrCat(its, ".storageclass.storage.k8s.io/");
  out[StrCat(prefix, "persistentvolumeclaims")] = kOne;
  if (storage != asked.end()) out[StrCat(prefix, "requests.storage")] = storage->second;
}

bool IsBestEffort(const json::object& pod) {
  for (const std::string_view list : {"containers", "initContainers"}) {
    for (const json::value& container : ArrayAt(pod, {"spec", list})) {
      for (const std::string_view part : {"requests", "limits"}) {
        for (const auto& [name, quantity] : ObjectAt(container, {"resources", part})) {
          const bool counts = name == "cpu" || name == "memory";
          if (counts && !Quantity::Of(quantity).IsZero()) return false;
        }
      }
    }
  }
  return true;
}

// One scope, or one expression of a scopeSelector.
bool InScope(std::string_view scope, std::string_view op, const json::array& values,
             const json::object& pod) {
  if (scope == "Terminating" || scope == "NotTerminating") {
    const bool ends = Find(pod, {"spec", "activeDeadlineSeconds"}) != nullptr;
    return ends == (scope == "Terminating");
  }
  if (scope == "BestEffort") return IsBestEffort(pod);
  if (scope == "NotBestEffort") return !IsBestEffort(pod);
  if (scope == "PriorityClass") {
    const json::value name = json::string(StringAt(pod, {"spec", "priorityClassName"}));
    const bool has = !name.get_string().empty();
    const bool in = std::find(values.begin(), values.end(), name) != values.end();
    if (op == "In") return in;
    if (op == "NotIn") return !in;
    if (op == "DoesNotExist") return !has;
    return has;
  }
  if (scope == "CrossNamespacePodAffinity") {
    for (const std::string_view affinity : {"podAffinity", "podAntiAffinity"}) {
      const json::object& its = ObjectAt(pod, {"spec", "affinity", affinity});
      for (const auto& [when, terms] : its) {
        if (!terms.is_array()) continue;
        for (const json::value& weighted : terms.get_array()) {
          const json::value* inner = Find(weighted, {"podAffinityTerm"});
          const json::value& term = inner == nullptr ? weighted : *inner;
          if (!ArrayAt(term, {"namespaces"}).empty() ||
              Find(term, {"namespaceSelector"}) != nullptr) {
            return true;
          }
        }
      }
    }
  }
  return false;
}

}  // namespace

ResourceList QuotaUsage(std::string_view resource, const json::object& object) {
  ResourceList out;
  out[StrCat("count/", resource)] = kOne;
  if (std::find(std::begin(kCounted), std::end(kCounted), resource) != std::end(kCounted)) {
    out[std::string(resource)] = kOne;
  }
  if (resource == "pods") AddPod(object, out);
  if (resource == "services") AddService(object, out);
  if (resource == "persistentvolumeclaims") AddClaim(object, out);
  return out;
}

bool QuotaSelects(const json::object& quota, std::string_view resource,
                  const json::object& object) {
  const json::array& scopes = ArrayAt(quota, {"spec", "scopes"});
  const json::array& expressions = ArrayAt(quota, {"spec", "scopeSelector", "matchExpressions"});
  if (scopes.empty() && expressions.empty()) return true;
  if (resource != "pods") return false;
  for (const json::value& scope : scopes) {
    if (!scope.is_string() || !InScope(View(scope.get_string()), "Exists", {}, object)) {
      return false;
    }
  }
  for (const json::value& one : expressions) {
    if (!InScope(StringAt(one, {"scopeName"}), StringAt(one, {"operator"}),
                 ArrayAt(one, {"values"}), object)) {
      return false;
    }
  }
  return true;
}

std::string MissingForQuota(const ResourceList& hard, const json::object& pod) {
  // By what is bounded: the containers that leave it out.
  std::map<std::string, std::vector<std::string>> missing;
  for (const auto& [name, bound] : hard) {
    std::string_view part = "requests", what = name;
    if (name.starts_with("requests.")) {
      what = std::string_view(name).substr(9);
    } else if (name.starts_with("limits.")) {
      part = "limits";
      what = std::string_view(name).substr(7);
    }
    if (what != "cpu" && what != "memory") continue;
    for (const std::string_view list : {"containers", "initContainers"}) {
      for (const json::value& container : ArrayAt(pod, {"spec", list})) {
        if (Find(container, {"resources", part, what}) == nullptr) {
          missing[name].emplace_back(StringAt(container, {"name"}));
        }
      }
    }
  }
  std::string out;
  for (auto& [name, containers] : missing) {
    std::sort(containers.begin(), containers.end());
    std::string list;
    for (const std::string& one : containers) list += StrCat(list.empty() ? "" : ",", one);
    out += StrCat(out.empty() ? "" : "; ", name, " for: ", list);
  }
  return out;
}

std::string QuotaResourceOf(std::string_view name) {
  if (name.starts_with("count/")) return std::string(name.substr(6));
  if (std::find(std::begin(kCounted), std::end(kCounted), name) != std::end(kCounted)) {
    return std::string(name);
  }
  if (name == "services.loadbalancers" || name == "services.nodeports") return "services";
  if (name == "requests.storage" ||
      name.find(".storageclass.storage.k8s.io/") != std::string_view::npos) {
    return "persistentvolumeclaims";
  }
  if (name == "cpu" || name == "memory" || name == "ephemeral-storage" ||
      name.starts_with("requests.") || name.starts_with("limits.")) {
    return "pods";
  }
  return "";
}

json::object QuotaPart(const json::object& object) {
  const json::object& spec = ObjectAt(object, {"spec"});
  json::object part, out;
  for (const std::string_view list : {"containers", "initContainers"}) {
    json::array containers;
    for (const json::value& container : ArrayAt(spec, {list})) {
      json::object its;
      for (const std::string_view name : {"resources", "restartPolicy"}) {
        if (const json::value* value = Find(container, {name})) its[name] = *value;
      }
      containers.push_back(std::move(its));
    }
    if (!containers.empty()) part[list] = std::move(containers);
  }
  for (const std::string_view name :
       {"allocateLoadBalancerNodePorts", "overhead", "priorityClassName", "resources",
        "storageClassName", "type"}) {
    if (const json::value* value = spec.if_contains(name)) part[name] = *value;
  }
  // That there is one, and how many there are, is all that counts.
  if (spec.contains("activeDeadlineSeconds")) part["activeDeadlineSeconds"] = 0;
  if (const size_t ports = ArrayAt(spec, {"ports"}).size(); ports > 0) {
    part["ports"] = json::array(ports, nullptr);
  }
  for (const std::string_view name : {"podAffinity", "podAntiAffinity"}) {
    if (const json::value* value = Find(spec, {"affinity", name})) {
      *Ensure(part, {"affinity", name}) = *value;
    }
  }
  if (!part.empty()) out["spec"] = std::move(part);
  const std::string_view phase = StringAt(object, {"status", "phase"});
  if (phase == "Succeeded" || phase == "Failed") out["status"] = {{"phase", phase}};
  return out;
}

}  // namespace keel::orchestrator
