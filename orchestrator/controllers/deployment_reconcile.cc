#include "orchestrator/controllers/deployment_reconcile.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "orchestrator/controllers/deployment_sets.h"
#include "orchestrator/controllers/deployment_status.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

json::object WithoutHash(const json::object& pods) {
  json::object copy = pods;
  Remove(copy, {"metadata", "labels", kTemplateHash});
  if (ObjectAt(copy, {"metadata", "labels"}).empty()) Remove(copy, {"metadata", "labels"});
  // The server writes it as null, or not at all.
  Remove(copy, {"metadata", "creationTimestamp"});
  if (ObjectAt(copy, {"metadata"}).empty()) copy.erase("metadata");
  return copy;
}

bool OlderFirst(const RolledSet* a, const RolledSet* b) {
  const std::string_view x = StringAt(*a->object, {"metadata", "creationTimestamp"});
  const std::string_view y = StringAt(*b->object, {"metadata", "creationTimestamp"});
  return std::pair(x, a->name()) < std::pair(y, b->name());
}

class Step {
 public:
  explicit Step(const DeploymentState& state)
      : state_(state),
        d_(state.deployment),
        replicas_(IntAt(d_, {"spec", "replicas"}, 1)),
        rolling_(StringAt(d_, {"spec", "strategy", "type"}) != "Recreate"),
        limits_(LimitsOf(d_)),
        status_(ObjectAt(d_, {"status"})) {}

  DeploymentPlan Run() {
    TakeSets();
    if (!StringAt(d_, {"metadata", "deletionTimestamp"}).empty()) return Finish(false);
    const bool paused = BoolAt(d_, {"spec", "paused"});
    NotePaused(d_, state_.now, status_);
    if (paused || IsScalingEvent()) {
      SyncRevisions(false);
      Scale();
      if (paused) CleanUp();
      return Finish(false);
    }
    if (rolling_) {
      Roll();
    } else {
      Recreate();
    }
    return Finish(true);
  }

 private:
  // Those of `state` that are ours; adopts and releases.
  void TakeSets() {
    absl::StatusOr<LabelSelector> selector =
        LabelSelector::FromObject(Find(d_, {"spec", "selector"}));
    const std::string_view uid = UidOf(d_);
    const bool deleting = !StringAt(d_, {"metadata", "deletionTimestamp"}).empty();
    for (const json::object* set : state_.sets) {
      const OwnerInfo owner = ControllerInfoOf(*set);
      const bool selected = selector.ok() && !selector->empty() &&
                            selector->Matches(ObjectAt(*set, {"metadata", "labels"}));
      json::object reference;
      if (owner.uid == uid) {
        if (selected) {
          sets_.emplace_back(*set);
          continue;
        }
        if (deleting) continue;
        reference = {{"$patch", "delete"}, {"uid", uid}};
      } else if (owner.uid.empty() && selected && !deleting &&
                 StringAt(*set, {"metadata", "deletionTimestamp"}).empty()) {
        reference = OwnerReferenceTo("apps/v1", "Deployment", d_);
        sets_.emplace_back(*set);
      } else {
        continue;
      }
      result_.plan.requests.push_back(
          {.verb = Request::Verb::kStrategicPatch,
           .resource = kReplicaSetRef,
           .ns = std::string(NamespaceOf(*set)),
           .name = std::string(NameOf(*set)),
           .body = {
               {"metadata",
                {{"uid", UidOf(*set)}, {"ownerReferences", json::array{std::move(reference)}}}}}});
      // Its version is not known after this: what else there is to do waits for the next step.
      taken_ = true;
    }
    // The oldest with the template counts, should there be several.
    std::vector<RolledSet*> by_age;
    for (RolledSet& set : sets_) by_age.push_back(&set);
    std::sort(by_age.begin(), by_age.end(), OlderFirst);
    for (RolledSet* set : by_age) {
      if (!IsSameTemplate(d_, *set->object)) continue;
      set->is_new = true;
      break;
    }
  }

  RolledSet* New() {
    for (RolledSet& set : sets_) {
      if (set.is_new) return &set;
    }
    return nullptr;
  }
  std::vector<RolledSet*> Old() {
    std::vector<RolledSet*> old;
    for (RolledSet& set : sets_) {
      if (!set.is_new) old.push_back(&set);
    }
    std::sort(old.begin(), old.end(), OlderFirst);
    return old;
  }
  static std::vector<RolledSet*> Active(const std::vector<RolledSet*>& sets) {
    std::vector<RolledSet*> active;
    std::copy_if(sets.begin(), sets.end(), std::back_inserter(active),
                 [](const RolledSet* set) { return set->replicas > 0; });
    return active;
  }
  int64_t Total() const {
    int64_t total = 0;
    for (const RolledSet& set : sets_) total += set.replicas;
    return total;
  }
  int64_t TotalAvailable() const {
    int64_t total = 0;
    for (const RolledSet& set : sets_) total += set.created ? 0 : set.available();
    return total;
  }
  int64_t Surge() const { return rolling_ ? limits_.surge : 0; }

  void SyncRevisions(bool create) {
    int64_t newest = 0;
    for (const RolledSet* set : Old()) newest = std::max(newest, set->revision());
    RolledSet* set = New();
    if (set == nullptr && create) {
      created_ = NewSetOf(d_);
      sets_.emplace_back(created_);
      set = &sets_.back();
      set->is_new = set->created = true;
      set->replicas = 0;
    }
    if (set == nullptr) return;
    SyncAnnotations(d_, newest + 1, *set);
    set->min_ready_seconds = IntAt(d_, {"spec", "minReadySeconds"});
    revision_ = set->revision();
    if (set->created) {
      set->replicas = NewReplicas(*set);
      SetReplicasAnnotations(replicas_, replicas_ + Surge(), *set);
      NoteProgress(d_, "NewReplicaSetCreated",
                   StrCat("Created new replica set \"", set->name(), "\""), state_.now, status_);
    } else if (ConditionOf(d_, "Progressing") == nullptr) {
      NoteProgress(d_, "FoundNewReplicaSet", StrCat("Found new replica set \"", set->name(), "\""),
                   state_.now, status_);
    }
  }

  int64_t NewReplicas(const RolledSet& set) const {
    if (!rolling_) return replicas_;
    const int64_t room = replicas_ + limits_.surge - Total();
    if (room <= 0) return set.replicas;
    return set.replicas + std::min(room, replicas_ - set.replicas);
  }

  // A set that is scaled again is also marked with what it was scaled for.
  bool ScaleTo(RolledSet& set, int64_t replicas) {
    if (set.created) return false;
    const bool changes = set.replicas != replicas;
    SetReplicasAnnotations(replicas_, replicas_ + Surge(), set);
    set.replicas = replicas;
    return changes;
  }

  bool IsScalingEvent() {
    for (const RolledSet& set : sets_) {
      if (set.replicas == 0) continue;
      const std::string_view desired = AnnotationOf(*set.object, kDesiredReplicas);
      if (!desired.empty() && desired != std::to_string(replicas_)) return true;
    }
    return false;
  }

  // The one active set, or, when there is none, the newest.
  RolledSet* ActiveOrLatest() {
    std::vector<RolledSet*> all = Old();
    if (RolledSet* set = New()) all.push_back(set);
    const std::vector<RolledSet*> active = Active(all);
    if (active.size() > 1) return nullptr;
    if (active.size() == 1) return active.front();
    if (RolledSet* set = New()) return set;
    return all.empty() ? nullptr : all.back();
  }

  void Scale() {
    if (RolledSet* only = ActiveOrLatest()) {
      if (only->replicas != replicas_) ScaleTo(*only, replicas_);
      return;
    }
    RolledSet* newest = New();
    if (newest != nullptr && newest->replicas == replicas_ && newest->available() == replicas_ &&
        AnnotationOf(*newest->object, kDesiredReplicas) == std::to_string(replicas_)) {
      for (RolledSet* set : Active(Old())) ScaleTo(*set, 0);
      return;
    }
    if (!rolling_) return;
    std::vector<RolledSet*> active = Active(Old());
    if (newest != nullptr && newest->replicas > 0) active.push_back(newest);
    const int64_t allowed = replicas_ > 0 ? replicas_ + limits_.surge : 0;
    const int64_t to_add = allowed - Total();
    // The biggest first, and of equals the newest when growing, the oldest when shrinking.
    std::stable_sort(active.begin(), active.end(), [&](const RolledSet* a, const RolledSet* b) {
      if (a->replicas != b->replicas) return a->replicas > b->replicas;
      return to_add > 0 ? OlderFirst(b, a) : OlderFirst(a, b);
    });
    int64_t added = 0;
    std::vector<int64_t> sizes;
    for (const RolledSet* set : active) {
      const int64_t share = ProportionOf(*set, replicas_, limits_.surge,
                                         IntAt(d_, {"status", "replicas"}), to_add, added);
      sizes.push_back(set->replicas + share);
      added += share;
    }
    for (size_t i = 0; i < active.size(); ++i) {
      if (i == 0 && to_add != 0) sizes[0] = std::max<int64_t>(0, sizes[0] + to_add - added);
      ScaleTo(*active[i], sizes[i]);
    }
  }

  void Roll() {
    SyncRevisions(true);
    RolledSet& newest = *New();
    if (newest.created) return;
    if (newest.replicas != replicas_) {
      const int64_t wanted = newest.replicas > replicas_ ? replicas_ : NewReplicas(newest);
      if (ScaleTo(newest, wanted)) return;
    }
    if (ScaleDownOld(newest)) return;
    if (IsComplete(d_, ObjectAt(d_, {"status"}))) CleanUp();
  }

  bool ScaleDownOld(const RolledSet& newest) {
    const std::vector<RolledSet*> old = Active(Old());
    if (old.empty()) return false;
    const int64_t min_available = replicas_ - limits_.unavailable;
    const int64_t new_unavailable = newest.replicas - newest.available();
    const int64_t room = Total() - min_available - new_unavailable;
    if (room <= 0) return false;
    bool changed = false;
    // What does not work goes first: it makes nothing less available.
    int64_t cleaned = 0;
    for (RolledSet* set : old) {
      if (cleaned >= room) break;
      const int64_t unhealthy = set->replicas - set->available();
      if (unhealthy <= 0) continue;
      const int64_t count = std::min(room - cleaned, unhealthy);
      cleaned += count;
      changed |= ScaleTo(*set, set->replicas - count);
    }
    int64_t spare = TotalAvailable() - min_available;
    for (RolledSet* set : old) {
      if (spare <= 0) break;
      const int64_t count = std::min(set->replicas, spare);
      if (count == 0) continue;
      spare -= count;
      changed |= ScaleTo(*set, set->replicas - count);
    }
    return changed;
  }

  void Recreate() {
    SyncRevisions(false);
    bool scaled_down = false;
    for (RolledSet* set : Active(Old())) scaled_down |= ScaleTo(*set, 0);
    if (scaled_down) return;
    for (const RolledSet* set : Old()) {
      auto pods = state_.running_pods.find(std::string(UidOf(*set->object)));
      if (pods != state_.running_pods.end() && pods->second > 0) return;
    }
    if (New() == nullptr) return SyncRevisions(true);
    if (ScaleTo(*New(), replicas_)) return;
    if (IsComplete(d_, ObjectAt(d_, {"status"}))) CleanUp();
  }

  void CleanUp() {
    const json::value* limit = Find(d_, {"spec", "revisionHistoryLimit"});
    if (limit == nullptr || !limit->is_number()) return;
    std::vector<RolledSet*> old = Old();
    std::erase_if(old, [](const RolledSet* set) {
      return !StringAt(*set->object, {"metadata", "deletionTimestamp"}).empty();
    });
    const int64_t extra = static_cast<int64_t>(old.size()) - limit->to_number<int64_t>();
    std::stable_sort(old.begin(), old.end(), [](const RolledSet* a, const RolledSet* b) {
      return a->revision() < b->revision();
    });
    for (int64_t i = 0; i < extra; ++i) {
      const json::object& set = *old[static_cast<size_t>(i)]->object;
      if (old[static_cast<size_t>(i)]->replicas != 0 || IntAt(set, {"status", "replicas"}) != 0 ||
          IntAt(set, {"metadata", "generation"}) > IntAt(set, {"status", "observedGeneration"})) {
        continue;
      }
      result_.plan.requests.push_back(
          DeleteRequest(kReplicaSetRef, NamespaceOf(set), NameOf(set), UidOf(set)));
    }
  }

  // From what was decided to requests and status.
  DeploymentPlan Finish(bool rollout) {
    Plan& plan = result_.plan;
    for (const RolledSet& set : sets_) {
      if (set.created) {
        CreateSet(set);
      } else if (!taken_ && set.changed()) {
        Request request = UpdateOf(set);
        const int64_t before = IntAt(*set.object, {"spec", "replicas"}, 1);
        if (before != set.replicas) {
          request.done = {false, "ScalingReplicaSet",
                          StrCat("Scaled ", before < set.replicas ? "up" : "down", " replica set ",
                                 set.name(), " from ", before, " to ", set.replicas)};
        }
        plan.requests.push_back(std::move(request));
      }
    }
    if (revision_ > 0 && AnnotationOf(d_, kRevision) != std::to_string(revision_)) {
      plan.requests.push_back(
          {.verb = Request::Verb::kMergePatch,
           .resource = kDeploymentRef,
           .ns = std::string(NamespaceOf(d_)),
           .name = std::string(NameOf(d_)),
           .body = {
               {"metadata",
                {{"uid", UidOf(d_)}, {"annotations", {{kRevision, std::to_string(revision_)}}}}}}});
    }
    std::vector<CountedSet> counted;
    for (const RolledSet& set : sets_) {
      if (!set.created) counted.push_back({set.object, set.replicas, set.is_new});
    }
    const RolledSet* newest = New();
    CountReplicas(d_, counted, limits_, state_.now, status_);
    if (rollout) {
      NoteRollout(d_, newest == nullptr ? "" : newest->name(), counted, state_.now, status_, plan);
    }
    if (status_ != ObjectAt(d_, {"status"})) plan.status = std::move(status_);
    return std::move(result_);
  }

  void CreateSet(const RolledSet& set) {
    json::object object = *set.object;
    *Ensure(object, {"metadata", "annotations"}) = set.annotations;
    *Ensure(object, {"spec", "replicas"}) = set.replicas;
    result_.creates = set.name();
    Request request{.verb = Request::Verb::kCreate,
                    .resource = kReplicaSetRef,
                    .ns = std::string(NamespaceOf(d_)),
                    .name = std::string(set.name()),
                    .body = std::move(object),
                    .failed = {true, "ReplicaSetCreateError",
                               StrCat("Failed to create new replica set \"", set.name(), "\": %s")},
                    .lenient = false};
    if (set.replicas > 0) {
      request.done = {false, "ScalingReplicaSet",
                      StrCat("Scaled up replica set ", set.name(), " from 0 to ", set.replicas)};
    }
    result_.plan.requests.push_back(std::move(request));
  }

  const DeploymentState& state_;
  const json::object& d_;
  const int64_t replicas_;
  const bool rolling_;
  const RollingLimits limits_;
  json::object status_;
  std::vector<RolledSet> sets_;
  json::object created_;
  bool taken_ = false;
  int64_t revision_ = 0;
  DeploymentPlan result_;
};

}  // namespace

bool IsSameTemplate(const json::object& deployment, const json::object& set) {
  return WithoutHash(ObjectAt(deployment, {"spec", "template"})) ==
         WithoutHash(ObjectAt(set, {"spec", "template"}));
}

RollingLimits LimitsOf(const json::object& deployment) {
  const int64_t replicas = IntAt(deployment, {"spec", "replicas"}, 1);
  if (StringAt(deployment, {"spec", "strategy", "type"}) == "Recreate" || replicas == 0) {
    // Nothing to keep: availability is not asked of one that is recreated.
    RollingLimits none;
    if (replicas == 0) {
      none.surge = ScaledValue(Find(deployment, {"spec", "strategy", "rollingUpdate", "maxSurge"}),
                               0, true, 0);
    }
    return none;
  }
  const json::object& rolling = ObjectAt(deployment, {"spec", "strategy", "rollingUpdate"});
  const json::value quarter("25%");
  const json::value* surge = Find(rolling, {"maxSurge"});
  const json::value* unavailable = Find(rolling, {"maxUnavailable"});
  RollingLimits limits;
  limits.surge = ScaledValue(surge == nullptr ? &quarter : surge, replicas, true, 1);
  limits.unavailable =
      ScaledValue(unavailable == nullptr ? &quarter : unavailable, replicas, false, 0);
  if (limits.surge == 0 && limits.unavailable == 0) limits.unavailable = 1;
  limits.unavailable = std::min(limits.unavailable, replicas);
  return limits;
}

DeploymentPlan ReconcileDeployment(const DeploymentState& state) { return Step(state).Run(); }

}  // namespace keel::orchestrator
