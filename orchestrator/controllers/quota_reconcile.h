// What a ResourceQuota's namespace uses: a pure function, by the rules by which the API server
// counts as objects are created (api/quota_usage.h).
//
//   std::optional<json::object> status = ReconcileQuota({.quota = quota, .counted = counted});
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// The objects of one resource and namespace, by name: what counts of each (QuotaPart), one copy for
// all that are alike.
using QuotaObjects = absl::flat_hash_map<std::string, std::shared_ptr<const json::object>>;

struct QuotaState {
  const json::object& quota;
  // Of the quota's namespace; null when the cluster has no such resource.
  std::function<const QuotaObjects*(std::string_view resource)> counted;
};

// The new status when it differs in an amount; what is bounded and cannot be counted is not in it.
std::optional<json::object> ReconcileQuota(const QuotaState& state);

// The resources ("pods", "jobs.batch") whose objects the quota counts.
absl::flat_hash_set<std::string> ResourcesOf(const json::object& quota);

}  // namespace keel::orchestrator
