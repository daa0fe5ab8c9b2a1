#include "orchestrator/controllers/stateful_set_reconcile.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <utility>

#include "base/strings.h"
#include "orchestrator/controllers/controller_revision.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kRevisionLabel = "controller-revision-hash";

class StatefulSetReconcile {
 public:
  explicit StatefulSetReconcile(const StatefulSetState& state)
      : set_(state.set),
        state_(state),
        now_(state.now),
        name_(NameOf(set_)),
        ns_(NamespaceOf(set_)),
        ordered_(StringAt(set_, {"spec", "podManagementPolicy"}) != "Parallel"),
        rolling_(StringAt(set_, {"spec", "updateStrategy", "type"}) != "OnDelete"),
        start_(IntAt(set_, {"spec", "ordinals", "start"})),
        replicas_(IntAt(set_, {"spec", "replicas"}, 1)),
        partition_(IntAt(set_, {"spec", "updateStrategy", "rollingUpdate", "partition"})),
        min_ready_(absl::Seconds(IntAt(set_, {"spec", "minReadySeconds"}))),
        delete_on_scale_(StringAt(set_, {"spec", "persistentVolumeClaimRetentionPolicy",
                                         "whenScaled"}) == "Delete"),
        delete_on_delete_(StringAt(set_, {"spec", "persistentVolumeClaimRetentionPolicy",
                                          "whenDeleted"}) == "Delete") {
    for (const json::object* claim : state.claims) claims_[std::string(NameOf(*claim))] = claim;
  }

  Plan Run() {
    if (!StringAt(set_, {"metadata", "deletionTimestamp"}).empty()) return std::move(plan_);
    ReadRevisions();
    for (const PodInfo* pod : state_.pods) {
      const int64_t ordinal = OrdinalOf(pod->name, name_);
      if (ordinal < 0) continue;
      pods_[ordinal] = pod;
    }
    Count();
    for (const auto& [ordinal, pod] : pods_) {
      if (InRange(ordinal)) FixClaims(ordinal, nullptr);
    }
    if (StartAll() && StopBeyond() && rolling_) Update();
    Trim();
    WriteStatus();
    return std::move(plan_);
  }

 private:
  bool InRange(int64_t ordinal) const { return ordinal >= start_ && ordinal < start_ + replicas_; }

  void ReadRevisions() {
    Revisions revisions = SyncRevisions(Owner());
    plan_.requests = std::move(revisions.requests);
    update_ = std::move(revisions.update);
    current_ = &update_;
    const std::string_view current = StringAt(set_, {"status", "currentRevision"});
    for (const json::object* revision : state_.revisions) {
      if (NameOf(*revision) == current && current != NameOf(update_)) current_ = revision;
    }
  }
  RevisionState Owner() const {
    return {.owner = set_,
            .api_version = "apps/v1",
            .kind = "StatefulSet",
            .revisions = state_.revisions};
  }

  bool Available(const PodInfo& pod) {
    if (!pod.ready || pod.phase != PodPhase::kRunning) return false;
    const absl::Duration left = pod.ready_since + min_ready_ - now_;
    if (min_ready_ == absl::ZeroDuration() || left <= absl::ZeroDuration()) return true;
    plan_.Again(left);
    return false;
  }
  static bool Healthy(const PodInfo& pod) {
    return pod.phase == PodPhase::kRunning && pod.ready && !pod.deleting;
  }
  bool IsOf(const PodInfo& pod, const json::object& revision) const {
    return pod.Label(kRevisionLabel) == NameOf(revision);
  }

  void Count() {
    for (const auto& [ordinal, pod] : pods_) {
      ++have_;
      ready_ += pod->ready && pod->phase == PodPhase::kRunning;
      available_ += Available(*pod);
      if (pod->deleting) continue;
      current_count_ += IsOf(*pod, *current_);
      updated_count_ += IsOf(*pod, update_);
    }
  }

  // Of the template as it was until an update reaches this ordinal.
  const json::object& RevisionFor(int64_t ordinal) const {
    if (current_ == &update_ || !rolling_) return update_;
    const bool has_partition =
        Find(set_, {"spec", "updateStrategy", "rollingUpdate", "partition"}) != nullptr;
    const int64_t kept =
        has_partition && partition_ > 0 ? partition_ : IntAt(set_, {"status", "currentReplicas"});
    return ordinal < start_ + kept ? *current_ : update_;
  }

  // True when all that should be there is, and (if ordered) available.
  bool StartAll() {
    bool all = true;
    for (int64_t ordinal = start_; ordinal < start_ + replicas_; ++ordinal) {
      const auto found = pods_.find(ordinal);
      if (found == pods_.end()) {
        Create(ordinal);
        if (ordered_) return false;
        continue;
      }
      const PodInfo& pod = *found->second;
      if (pod.terminal()) {
        if (!pod.deleting) {
          const bool failed = pod.phase == PodPhase::kFailed;
          plan_.notes.push_back(
              {failed, failed ? "RecreatingFailedPod" : "RecreatingTerminatedPod",
               base::StrCat("StatefulSet ", ns_, "/", name_, " is recreating ",
                            failed ? "failed" : "terminated", " Pod ", pod.name)});
          Delete(pod);
        }
        if (ordered_) return false;
        continue;
      }
      all = all && Healthy(pod);
      if (ordered_ && (pod.deleting || !Healthy(pod) || !Available(pod))) return false;
    }
    return all || !ordered_;
  }

  // From the last; true when there is none left to stop.
  bool StopBeyond() {
    std::vector<const PodInfo*> beyond;
    for (auto it = pods_.rbegin(); it != pods_.rend(); ++it) {
      if (!InRange(it->first)) beyond.push_back(it->second);
    }
    for (const PodInfo* pod : beyond) {
      if (pod->deleting) {
        if (ordered_) return false;
        continue;
      }
      FixClaims(OrdinalOf(pod->name, name_), pod);
      Delete(*pod);
      if (ordered_) return false;
    }
    return true;
  }

  void Update() {
    for (auto it = pods_.rbegin(); it != pods_.rend(); ++it) {
      const auto& [ordinal, pod] = *it;
      if (!InRange(ordinal)) continue;
      if (ordinal < start_ + partition_) return;
      if (!IsOf(*pod, update_) && !pod->deleting) {
        if (!pod->terminal()) Delete(*pod);
        return;
      }
      if (!Healthy(*pod) || !Available(*pod)) return;
    }
  }

  std::string ClaimName(const json::value& claim_template, int64_t ordinal) const {
    return base::StrCat(StringAt(claim_template, {"metadata", "name"}), "-", name_, "-", ordinal);
  }

  // Owners of the claims of an ordinal, as the retention policy says; `condemned` is its pod when
  // it is being scaled away.
  void FixClaims(int64_t ordinal, const PodInfo* condemned) {
    for (const json::value& each : ArrayAt(set_, {"spec", "volumeClaimTemplates"})) {
      const auto found = claims_.find(ClaimName(each, ordinal));
      if (found == claims_.end()) continue;
      const json::object& claim = *found->second;
      json::array wanted;
      for (const json::value& reference : ArrayAt(claim, {"metadata", "ownerReferences"})) {
        const std::string_view kind = StringAt(reference, {"kind"});
        if (kind != "StatefulSet" && kind != "Pod") wanted.push_back(reference);
      }
      if (delete_on_delete_ && condemned == nullptr) wanted.push_back(ClaimOwner());
      if (delete_on_scale_ && condemned != nullptr) {
        wanted.push_back(json::object{{"apiVersion", "v1"},
                                      {"kind", "Pod"},
                                      {"name", condemned->name},
                                      {"uid", condemned->uid}});
      }
      if (wanted == ArrayAt(claim, {"metadata", "ownerReferences"})) continue;
      plan_.requests.push_back(
          {.verb = Request::Verb::kMergePatch,
           .resource = kClaimRef,
           .ns = std::string(ns_),
           .name = std::string(NameOf(claim)),
           .body = json::object{{"metadata", {{"ownerReferences", std::move(wanted)}}}}});
    }
  }
  json::object ClaimOwner() const {
    return {
        {"apiVersion", "apps/v1"}, {"kind", "StatefulSet"}, {"name", name_}, {"uid", UidOf(set_)}};
  }

  void Create(int64_t ordinal) {
    const json::object& revision = RevisionFor(ordinal);
    const json::object pod_template = TemplateOf(revision);
    const std::string pod_name = base::StrCat(name_, "-", ordinal);
    json::object pod = PodOf(pod_template, "apps/v1", "StatefulSet", set_);
    json::object& metadata = pod["metadata"].as_object();
    metadata["name"] = pod_name;
    *Ensure(metadata, {"labels", kRevisionLabel}) = NameOf(revision);
    *Ensure(metadata, {"labels", "statefulset.kubernetes.io/pod-name"}) = pod_name;
    *Ensure(metadata, {"labels", "apps.kubernetes.io/pod-index"}) = base::StrCat(ordinal);
    json::object& spec = pod["spec"].as_object();
    spec["hostname"] = pod_name;
    const std::string_view service = StringAt(set_, {"spec", "serviceName"});
    if (!service.empty()) spec["subdomain"] = service;
    AddClaims(ordinal, pod_name, spec);
    plan_.requests.push_back(
        {.verb = Request::Verb::kCreate,
         .resource = kPodRef,
         .ns = std::string(ns_),
         .name = pod_name,
         .body = std::move(pod),
         .done = {false, "SuccessfulCreate",
                  base::StrCat("create Pod %s in StatefulSet ", name_, " successful")},
         .failed = {true, "FailedCreate",
                    base::StrCat("create Pod ", pod_name, " in StatefulSet ", name_,
                                 " failed error: %s")}});
    ++have_;
    (&revision == &update_ ? updated_count_ : current_count_) += 1;
    if (current_ == &update_) current_count_ = updated_count_;
  }

  void AddClaims(int64_t ordinal, const std::string& pod_name, json::object& spec) {
    const json::array& templates = ArrayAt(set_, {"spec", "volumeClaimTemplates"});
    if (templates.empty()) return;
    json::array volumes;
    for (const json::value& each : templates) {
      const std::string_view volume = StringAt(each, {"metadata", "name"});
      const std::string claim_name = ClaimName(each, ordinal);
      volumes.push_back(
          json::object{{"name", volume}, {"persistentVolumeClaim", {{"claimName", claim_name}}}});
      if (claims_.contains(claim_name)) continue;
      json::object claim{{"apiVersion", "v1"}, {"kind", "PersistentVolumeClaim"}};
      json::object metadata{{"name", claim_name}, {"namespace", ns_}};
      json::object labels = ObjectAt(each, {"metadata", "labels"});
      for (const auto& [key, value] : ObjectAt(set_, {"spec", "selector", "matchLabels"})) {
        labels[key] = value;
      }
      metadata["labels"] = std::move(labels);
      if (const json::value* annotations = Find(each, {"metadata", "annotations"})) {
        metadata["annotations"] = *annotations;
      }
      if (delete_on_delete_) metadata["ownerReferences"] = json::array{ClaimOwner()};
      claim["metadata"] = std::move(metadata);
      claim["spec"] = ObjectAt(each, {"spec"});
      plan_.requests.push_back(
          {.verb = Request::Verb::kCreate,
           .resource = kClaimRef,
           .ns = std::string(ns_),
           .name = claim_name,
           .body = std::move(claim),
           .done = {false, "SuccessfulCreate",
                    base::StrCat("create Claim %s Pod ", pod_name, " in StatefulSet ", name_,
                                 " success")},
           .failed = {true, "FailedCreate",
                      base::StrCat("create Claim ", claim_name, " for Pod ", pod_name,
                                   " in StatefulSet ", name_, " failed error: %s")}});
    }
    // A volume of the template with a claim's name gives way to it.
    for (const json::value& volume : ArrayAt(spec, {"volumes"})) {
      const bool replaced = std::any_of(volumes.begin(), volumes.end(), [&](const json::value& v) {
        return StringAt(v, {"name"}) == StringAt(volume, {"name"});
      });
      if (!replaced) volumes.push_back(volume);
    }
    spec["volumes"] = std::move(volumes);
  }

  void Delete(const PodInfo& pod) {
    Request request = DeleteRequest(kPodRef, pod.ns, pod.name, pod.uid);
    request.done = {false, "SuccessfulDelete",
                    base::StrCat("delete Pod %s in StatefulSet ", name_, " successful")};
    request.failed = {
        true, "FailedDelete",
        base::StrCat("delete Pod ", pod.name, " in StatefulSet ", name_, " failed error: %s")};
    plan_.requests.push_back(std::move(request));
    if (pod.deleting) return;
    if (IsOf(pod, update_)) --updated_count_;
    if (IsOf(pod, *current_)) --current_count_;
  }

  void Trim() {
    absl::flat_hash_set<std::string> live{std::string(NameOf(update_)),
                                          std::string(NameOf(*current_))};
    for (const PodInfo* pod : state_.pods) live.insert(std::string(pod->Label(kRevisionLabel)));
    for (Request& request : TrimRevisions(Owner(), live)) {
      plan_.requests.push_back(std::move(request));
    }
  }

  void WriteStatus() {
    std::string_view current = NameOf(*current_);
    if (rolling_ && updated_count_ == have_ && ready_ == have_ && have_ == replicas_) {
      // The update is over.
      current_count_ = updated_count_;
      current = NameOf(update_);
    }
    json::object status = ObjectAt(set_, {"status"});
    status["observedGeneration"] = IntAt(set_, {"metadata", "generation"}, 1);
    status["replicas"] = have_;
    status["availableReplicas"] = available_;
    for (const auto& [name, count] :
         {std::pair("readyReplicas", ready_), std::pair("currentReplicas", current_count_),
          std::pair("updatedReplicas", updated_count_)}) {
      if (count > 0) {
        status[name] = count;
      } else {
        status.erase(name);
      }
    }
    status["currentRevision"] = current;
    status["updateRevision"] = NameOf(update_);
    if (Find(status, {"collisionCount"}) == nullptr) status["collisionCount"] = 0;
    if (status != ObjectAt(set_, {"status"})) plan_.status = std::move(status);
  }

  const json::object& set_;
  const StatefulSetState& state_;
  const absl::Time now_;
  const std::string_view name_, ns_;
  const bool ordered_, rolling_;
  const int64_t start_, replicas_, partition_;
  const absl::Duration min_ready_;
  const bool delete_on_scale_, delete_on_delete_;
  json::object update_;
  const json::object* current_ = nullptr;
  std::map<int64_t, const PodInfo*> pods_;  // by ordinal
  std::map<std::string, const json::object*> claims_;
  int64_t have_ = 0, ready_ = 0, available_ = 0, current_count_ = 0, updated_count_ = 0;
  Plan plan_;
};

}  // namespace

Plan ReconcileStatefulSet(const StatefulSetState& state) {
  return StatefulSetReconcile(state).Run();
}

int64_t OrdinalOf(std::string_view pod, std::string_view set) {
  if (pod.size() < set.size() + 2 || !pod.starts_with(set) || pod[set.size()] != '-') return -1;
  const std::string_view digits = pod.substr(set.size() + 1);
  int64_t ordinal = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
  if (error != std::errc() || end != digits.data() + digits.size() || ordinal < 0) return -1;
  return digits.size() > 1 && digits[0] == '0' ? -1 : ordinal;
}

}  // namespace keel::orchestrator
