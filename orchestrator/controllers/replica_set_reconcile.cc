#include "orchestrator/controllers/replica_set_reconcile.h"

#include <algorithm>
#include <charconv>

#include "absl/container/flat_hash_map.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

int64_t DeletionCost(const PodInfo& pod) {
  const std::string_view text = pod.Annotation("controller.kubernetes.io/pod-deletion-cost");
  int64_t cost = 0;
  std::from_chars(text.data(), text.data() + text.size(), cost);
  return cost;
}

// Pending, then unknown, then running.
int PhaseOrder(const PodInfo& pod) {
  switch (pod.phase) {
    case PodPhase::kPending:
      return 0;
    case PodPhase::kUnknown:
      return 1;
    default:
      return 2;
  }
}

bool IsAvailable(const PodInfo& pod, int64_t min_ready_seconds, absl::Time now) {
  return pod.ready &&
         (min_ready_seconds == 0 || pod.ready_since + absl::Seconds(min_ready_seconds) <= now);
}

Request OwnerPatch(const PodInfo& pod, json::object reference) {
  return {.verb = Request::Verb::kStrategicPatch,
          .resource = kPodRef,
          .ns = std::string(pod.ns),
          .name = std::string(pod.name),
          .body = {{"metadata",
                    {{"uid", std::string_view(pod.uid)},
                     {"ownerReferences", json::array{std::move(reference)}}}}}};
}

bool HasLabels(const PodInfo& pod, const json::object& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    return label.value().is_string() &&
           pod.Label({label.key().data(), label.key().size()}) == View(label.value().get_string());
  });
}

json::object StatusOf(const ReplicasState& state, const std::vector<const PodInfo*>& active) {
  const json::object& set = state.set;
  const json::object& old = ObjectAt(set, {"status"});
  const int64_t min_ready = IntAt(set, {"spec", "minReadySeconds"});
  const json::object& labels = ObjectAt(set, {"spec", "template", "metadata", "labels"});
  int64_t ready = 0, available = 0, labeled = 0;
  for (const PodInfo* pod : active) {
    labeled += HasLabels(*pod, labels);
    ready += pod->ready;
    available += IsAvailable(*pod, min_ready, state.now);
  }
  json::object status = old;
  status["replicas"] = static_cast<int64_t>(active.size());
  const auto count = [&](std::string_view name, int64_t value) {
    if (value == 0) {
      status.erase(name);
    } else {
      status[name] = value;
    }
  };
  count("fullyLabeledReplicas", labeled);
  count("readyReplicas", ready);
  count("availableReplicas", available);
  status["observedGeneration"] = IntAt(set, {"metadata", "generation"});
  json::array conditions = ArrayAt(set, {"status", "conditions"});
  if (!state.failure_reason.empty()) {
    SetCondition(conditions, "ReplicaFailure", true, state.failure_reason, state.failure_message,
                 state.now);
  } else {
    const auto failure =
        std::find_if(conditions.begin(), conditions.end(), [](const json::value& condition) {
          return StringAt(condition, {"type"}) == "ReplicaFailure";
        });
    if (failure != conditions.end()) conditions.erase(failure);
  }
  if (conditions.empty()) {
    status.erase("conditions");
  } else {
    status["conditions"] = std::move(conditions);
  }
  return status;
}

void DeleteSome(const ReplicasState& state, const std::vector<const PodInfo*>& active, size_t count,
                Plan& plan) {
  absl::flat_hash_map<std::string_view, size_t> on_node;
  for (const PodInfo* pod : active) {
    if (!pod->node.empty()) ++on_node[std::string_view(pod->node)];
  }
  std::vector<RankedPod> ranked;
  ranked.reserve(active.size());
  for (const PodInfo* pod : active) {
    ranked.push_back({pod, pod->node.empty() ? 0 : on_node[std::string_view(pod->node)]});
  }
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(count),
                    ranked.end(), DeletedBefore);
  for (size_t i = 0; i < count; ++i) {
    const PodInfo& pod = *ranked[i].pod;
    Request request = DeleteRequest(kPodRef, pod.ns, pod.name, pod.uid);
    request.done = {false, "SuccessfulDelete", "Deleted pod: %s"};
    request.failed = {true, "FailedDelete", "Error deleting: %s"};
    plan.requests.push_back(std::move(request));
  }
}

void CreateSome(const ReplicasState& state, int64_t count, Plan& plan) {
  json::object pod = PodOf(ObjectAt(state.set, {"spec", "template"}), state.kind.api_version,
                           state.kind.kind, state.set);
  *Ensure(pod, {"metadata", "generateName"}) = base::StrCat(NameOf(state.set), "-");
  const Request request{.verb = Request::Verb::kCreate,
                        .resource = kPodRef,
                        .ns = std::string(NamespaceOf(state.set)),
                        .body = std::move(pod),
                        .done = {false, "SuccessfulCreate", "Created pod: %s"},
                        .failed = {true, "FailedCreate", "Error creating: %s"}};
  plan.requests.insert(plan.requests.end(), static_cast<size_t>(count), request);
}

// When the next pod becomes available by the passing of time alone.
void WaitForAvailable(const ReplicasState& state, const std::vector<const PodInfo*>& active,
                      Plan& plan) {
  const int64_t min_ready = IntAt(state.set, {"spec", "minReadySeconds"});
  for (const PodInfo* pod : active) {
    if (!pod->ready || IsAvailable(*pod, min_ready, state.now)) continue;
    plan.Again(pod->ready_since + absl::Seconds(min_ready) - state.now + absl::Milliseconds(10));
  }
}

}  // namespace

LabelSelector SelectorOf(const json::object& set, const ReplicasKind& kind) {
  if (kind.resource == kReplicationControllerRef) {
    const json::object& labels = ObjectAt(set, {"spec", "selector"});
    return labels.empty() ? LabelSelector::Nothing() : LabelSelector::FromMap(labels);
  }
  absl::StatusOr<LabelSelector> selector =
      LabelSelector::FromObject(Find(set, {"spec", "selector"}));
  // One that selects everything is a mistake that must not adopt a namespace.
  if (!selector.ok() || selector->empty()) return LabelSelector::Nothing();
  return *std::move(selector);
}

bool Selects(const LabelSelector& selector, const PodInfo& pod) {
  return selector.MatchesWith([&](std::string_view key) -> std::optional<std::string_view> {
    for (const auto& [name, value] : pod.labels) {
      if (std::string_view(name) == key) return std::string_view(value);
    }
    return std::nullopt;
  });
}

bool DeletedBefore(const RankedPod& ranked_a, const RankedPod& ranked_b) {
  const PodInfo& a = *ranked_a.pod;
  const PodInfo& b = *ranked_b.pod;
  if (a.node.empty() != b.node.empty()) return a.node.empty();
  if (PhaseOrder(a) != PhaseOrder(b)) return PhaseOrder(a) < PhaseOrder(b);
  if (a.ready != b.ready) return !a.ready;
  if (const int64_t x = DeletionCost(a), y = DeletionCost(b); x != y) return x < y;
  if (ranked_a.rank != ranked_b.rank) return ranked_a.rank > ranked_b.rank;
  if (a.ready && a.ready_since != b.ready_since) return a.ready_since > b.ready_since;
  if (a.restarts != b.restarts) return a.restarts > b.restarts;
  if (a.created != b.created) return a.created > b.created;
  return a.name < b.name;
}

Plan ReconcileReplicas(const ReplicasState& state) {
  Plan plan;
  const json::object& set = state.set;
  const std::string_view uid = UidOf(set);
  const bool deleting = !StringAt(set, {"metadata", "deletionTimestamp"}).empty();
  const LabelSelector selector = SelectorOf(set, state.kind);
  std::vector<const PodInfo*> active;
  for (const PodInfo* pod : state.pods) {
    const bool selected = Selects(selector, *pod);
    if (pod->owner.uid == uid) {
      if (!selected) {
        if (!deleting)
          plan.requests.push_back(OwnerPatch(*pod, {{"$patch", "delete"}, {"uid", uid}}));
        continue;
      }
    } else if (!pod->owner.uid.empty() || !selected || deleting || !pod->active()) {
      continue;
    } else {
      plan.requests.push_back(
          OwnerPatch(*pod, OwnerReferenceTo(state.kind.api_version, state.kind.kind, set)));
    }
    if (pod->active()) active.push_back(pod);
  }
  if (state.may_manage && !deleting) {
    const int64_t missing =
        IntAt(set, {"spec", "replicas"}, 1) - static_cast<int64_t>(active.size());
    if (missing > 0) CreateSome(state, std::min(missing, kBurstReplicas), plan);
    if (missing < 0) {
      DeleteSome(state, active, static_cast<size_t>(std::min(-missing, kBurstReplicas)), plan);
    }
  }
  json::object status = StatusOf(state, active);
  if (status != ObjectAt(set, {"status"})) plan.status = std::move(status);
  WaitForAvailable(state, active, plan);
  return plan;
}

}  // namespace keel::orchestrator
