#include "orchestrator/controllers/deployment_status.h"

#include <algorithm>

#include "base/strings.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

bool HasDeadline(const json::object& deployment) {
  const json::value* seconds = Find(deployment, {"spec", "progressDeadlineSeconds"});
  return seconds != nullptr && seconds->is_number() && IntAt(*seconds, {}, 0) != INT32_MAX;
}

const json::object* ConditionIn(const json::object& status, std::string_view type) {
  for (const json::value& condition : ArrayAt(status, {"conditions"})) {
    if (StringAt(condition, {"type"}) == type) return condition.if_object();
  }
  return nullptr;
}

void RemoveCondition(json::object& status, std::string_view type) {
  json::value* list = Find(status, {"conditions"});
  if (list == nullptr || !list->is_array()) return;
  json::array& conditions = list->get_array();
  const auto found = std::find_if(conditions.begin(), conditions.end(), [&](const json::value& c) {
    return StringAt(c, {"type"}) == type;
  });
  if (found != conditions.end()) conditions.erase(found);
  if (conditions.empty()) status.erase("conditions");
}

// Kubernetes' SetDeploymentCondition: one that says the same stays as it is, unless `renew`.
void Set(json::object& status, std::string_view type, std::string_view value,
         std::string_view reason, std::string_view message, absl::Time now, bool renew = false) {
  const json::object* old = ConditionIn(status, type);
  const bool same_value = old != nullptr && StringAt(*old, {"status"}) == value;
  if (same_value && StringAt(*old, {"reason"}) == reason && !renew) return;
  json::object condition{{"type", type},
                         {"status", value},
                         {"lastUpdateTime", TimeText(now)},
                         {"lastTransitionTime", TimeText(now)},
                         {"reason", reason},
                         {"message", message}};
  if (same_value) condition["lastTransitionTime"] = StringAt(*old, {"lastTransitionTime"});
  json::value* list = Ensure(status, {"conditions"});
  if (!list->is_array()) *list = json::array();
  for (json::value& each : list->get_array()) {
    if (StringAt(each, {"type"}) != type) continue;
    each = std::move(condition);
    return;
  }
  list->get_array().push_back(std::move(condition));
}

void Count(json::object& status, std::string_view name, int64_t value) {
  if (value == 0) {
    status.erase(json::string_view(name.data(), name.size()));
  } else {
    status[json::string_view(name.data(), name.size())] = value;
  }
}

bool HasMoved(const json::object& before, const json::object& after) {
  const auto old_pods = [](const json::object& status) {
    return IntAt(status, {"replicas"}) - IntAt(status, {"updatedReplicas"});
  };
  return IntAt(after, {"updatedReplicas"}) > IntAt(before, {"updatedReplicas"}) ||
         old_pods(after) < old_pods(before) ||
         IntAt(after, {"readyReplicas"}) > IntAt(before, {"readyReplicas"}) ||
         IntAt(after, {"availableReplicas"}) > IntAt(before, {"availableReplicas"});
}

}  // namespace

void CountReplicas(const json::object& deployment, const std::vector<CountedSet>& sets,
                   const RollingLimits& limits, absl::Time now, json::object& status) {
  int64_t wanted = 0, replicas = 0, updated = 0, ready = 0, available = 0;
  for (const CountedSet& set : sets) {
    wanted += set.replicas;
    const int64_t of_set = IntAt(*set.object, {"status", "replicas"});
    replicas += of_set;
    if (set.is_new) updated = of_set;
    ready += IntAt(*set.object, {"status", "readyReplicas"});
    available += IntAt(*set.object, {"status", "availableReplicas"});
  }
  status["observedGeneration"] = IntAt(deployment, {"metadata", "generation"});
  Count(status, "replicas", replicas);
  Count(status, "updatedReplicas", updated);
  Count(status, "readyReplicas", ready);
  Count(status, "availableReplicas", available);
  Count(status, "unavailableReplicas", std::max<int64_t>(0, wanted - available));
  if (available >= IntAt(deployment, {"spec", "replicas"}, 1) - limits.unavailable) {
    Set(status, "Available", "True", "MinimumReplicasAvailable",
        "Deployment has minimum availability.", now);
  } else {
    Set(status, "Available", "False", "MinimumReplicasUnavailable",
        "Deployment does not have minimum availability.", now);
  }
}

bool IsComplete(const json::object& deployment, const json::object& status) {
  const int64_t wanted = IntAt(deployment, {"spec", "replicas"}, 1);
  return IntAt(status, {"updatedReplicas"}) == wanted && IntAt(status, {"replicas"}) == wanted &&
         IntAt(status, {"availableReplicas"}) == wanted &&
         IntAt(status, {"observedGeneration"}) >= IntAt(deployment, {"metadata", "generation"});
}

void NoteProgress(const json::object& deployment, std::string_view reason, std::string_view message,
                  absl::Time now, json::object& status) {
  if (HasDeadline(deployment)) Set(status, "Progressing", "True", reason, message, now);
}

void NotePaused(const json::object& deployment, absl::Time now, json::object& status) {
  if (!HasDeadline(deployment)) return;
  const json::object* progressing = ConditionIn(status, "Progressing");
  const std::string_view reason =
      progressing == nullptr ? std::string_view() : StringAt(*progressing, {"reason"});
  if (reason == "ProgressDeadlineExceeded") return;
  const bool paused = BoolAt(deployment, {"spec", "paused"});
  if (paused && reason != "DeploymentPaused") {
    Set(status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", now);
  } else if (!paused && reason == "DeploymentPaused") {
    Set(status, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", now);
  }
}

void NoteRollout(const json::object& deployment, std::string_view newest,
                 const std::vector<CountedSet>& sets, absl::Time now, json::object& status,
                 Plan& plan) {
  if (!HasDeadline(deployment)) {
    RemoveCondition(status, "Progressing");
  } else {
    const json::object before = ObjectAt(deployment, {"status"});
    const json::object* current = ConditionIn(status, "Progressing");
    const std::string reason(current == nullptr ? "" : StringAt(*current, {"reason"}));
    const bool was_complete = IntAt(status, {"replicas"}) == IntAt(status, {"updatedReplicas"}) &&
                              reason == "NewReplicaSetAvailable";
    const std::string what = newest.empty() ? StrCat("Deployment \"", NameOf(deployment), "\"")
                                            : StrCat("ReplicaSet \"", newest, "\"");
    const absl::Duration deadline =
        absl::Seconds(IntAt(deployment, {"spec", "progressDeadlineSeconds"}));
    if (!was_complete) {
      if (IsComplete(deployment, status)) {
        Set(status, "Progressing", "True", "NewReplicaSetAvailable",
            StrCat(what, " has successfully progressed."), now);
      } else if (HasMoved(before, status)) {
        Set(status, "Progressing", "True", "ReplicaSetUpdated", StrCat(what, " is progressing."),
            now, true);
      } else if (current != nullptr && reason != "NewReplicaSetAvailable") {
        const absl::Time since = TimeOf(StringAt(*current, {"lastUpdateTime"}), now);
        if (reason == "ProgressDeadlineExceeded" || since + deadline < now) {
          Set(status, "Progressing", "False", "ProgressDeadlineExceeded",
              StrCat(what, " has timed out progressing."), now);
        } else {
          plan.Again(since + deadline - now + absl::Seconds(1));
        }
      }
      // After a change, the deadline counts from now on.
      if (!IsComplete(deployment, status) && HasMoved(before, status)) {
        plan.Again(deadline + absl::Seconds(1));
      }
    }
  }
  const json::object* failure = nullptr;
  for (const CountedSet& set : sets) {
    const json::object* condition = ConditionOf(*set.object, "ReplicaFailure");
    if (condition != nullptr && (failure == nullptr || set.is_new)) failure = condition;
  }
  if (failure == nullptr) {
    RemoveCondition(status, "ReplicaFailure");
  } else {
    Set(status, "ReplicaFailure", StringAt(*failure, {"status"}), StringAt(*failure, {"reason"}),
        StringAt(*failure, {"message"}), now);
  }
}

}  // namespace keel::orchestrator
