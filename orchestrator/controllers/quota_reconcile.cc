#include "orchestrator/controllers/quota_reconcile.h"

#include <utility>

#include "orchestrator/api/quota_usage.h"

namespace keel::orchestrator {
namespace {

void AddTimes(ResourceList& to, const ResourceList& what, int64_t times) {
  for (const auto& [name, quantity] : what) {
    Quantity& sum = to[name];
    Quantity power = quantity;
    for (int64_t left = times; left > 0; left /= 2) {
      if (left % 2 == 1) sum += power;
      power += power;
    }
  }
}

ResourceList UsageOf(const json::object& quota, std::string_view resource,
                     const QuotaObjects& objects) {
  absl::flat_hash_map<const json::object*, int64_t> alike;
  for (const auto& [name, part] : objects) ++alike[part.get()];
  ResourceList usage;
  for (const auto& [part, times] : alike) {
    if (QuotaSelects(quota, resource, *part)) AddTimes(usage, QuotaUsage(resource, *part), times);
  }
  return usage;
}

}  // namespace

absl::flat_hash_set<std::string> ResourcesOf(const json::object& quota) {
  absl::flat_hash_set<std::string> resources;
  for (const auto& [name, bound] : ObjectAt(quota, {"spec", "hard"})) {
    std::string resource = QuotaResourceOf(name);
    if (!resource.empty()) resources.insert(std::move(resource));
  }
  return resources;
}

std::optional<json::object> ReconcileQuota(const QuotaState& state) {
  const json::object& hard = ObjectAt(state.quota, {"spec", "hard"});
  absl::flat_hash_map<std::string, ResourceList> usages;
  for (const std::string& resource : ResourcesOf(state.quota)) {
    if (const QuotaObjects* objects = state.counted(resource)) {
      usages[resource] = UsageOf(state.quota, resource, *objects);
    }
  }
  json::object used;
  for (const auto& [name, bound] : hard) {
    const auto usage = usages.find(QuotaResourceOf(name));
    if (usage == usages.end()) continue;
    const auto amount = usage->second.find(std::string(name));
    used[name] = amount == usage->second.end() ? "0" : amount->second.ToString();
  }
  const json::object& status = ObjectAt(state.quota, {"status"});
  // By amount: the API server, which writes here too, may spell it otherwise.
  if (ReadResources(ObjectAt(status, {"used"})) == ReadResources(used) &&
      ReadResources(ObjectAt(status, {"hard"})) == ReadResources(hard)) {
    return std::nullopt;
  }
  json::object after = status;
  after["hard"] = hard;
  after["used"] = std::move(used);
  return after;
}

}  // namespace keel::orchestrator
