#include "orchestrator/controllers/daemon_set_reconcile.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/strings.h"
#include "orchestrator/controllers/controller_revision.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kRevisionLabel = "controller-revision-hash";
constexpr size_t kPodsPerSync = 250;
// A pod that failed is killed at once the first time, then at most that often on its node.
constexpr absl::Duration kFailedPodPause = absl::Seconds(10);

json::object Toleration(std::string_view key, std::string_view effect) {
  return {{"key", key}, {"operator", "Exists"}, {"effect", effect}};
}

class DaemonSetReconcile {
 public:
  explicit DaemonSetReconcile(const DaemonSetState& state)
      : set_(state.set),
        state_(state),
        now_(state.now),
        spec_(ObjectAt(set_, {"spec", "template", "spec"})),
        tolerations_(ArrayAt(spec_, {"tolerations"})),
        min_ready_(absl::Seconds(IntAt(set_, {"spec", "minReadySeconds"}))) {
    for (json::value& each : DaemonTolerations(BoolAt(spec_, {"hostNetwork"}))) {
      tolerations_.push_back(std::move(each));
    }
  }

  Plan Run() {
    if (!StringAt(set_, {"metadata", "deletionTimestamp"}).empty()) return std::move(plan_);
    const RevisionState revision_state{.owner = set_,
                                       .api_version = "apps/v1",
                                       .kind = "DaemonSet",
                                       .revisions = state_.revisions};
    Revisions revisions = SyncRevisions(revision_state);
    hash_ = HashOf(revisions.update);
    plan_.requests = std::move(revisions.requests);
    absl::flat_hash_set<std::string> live{std::string(NameOf(revisions.update))};
    for (const PodInfo* pod : state_.pods) {
      live.insert(base::StrCat(NameOf(set_), "-", pod->Label(kRevisionLabel)));
    }

    for (const PodInfo* pod : state_.pods) {
      by_node_[pod->node.empty() ? pod->target_node : pod->node].push_back(pod);
    }
    desired_ = std::count_if(state_.nodes.begin(), state_.nodes.end(),
                             [&](const NodeInfo* node) { return ShouldRun(*node).first; });
    for (const NodeInfo* node : state_.nodes) ManageNode(*node);
    for (const auto& [name, pods] : by_node_) {
      // Their node is gone, and nobody else ends them.
      for (const PodInfo* pod : pods) Delete(*pod);
    }
    if (StringAt(set_, {"spec", "updateStrategy", "type"}) != "OnDelete") RollingUpdate();
    std::move(deletes_.begin(), deletes_.end(), std::back_inserter(plan_.requests));
    for (const std::string& node : creates_) plan_.requests.push_back(NewPod(node));
    for (Request& request : TrimRevisions(revision_state, live)) {
      plan_.requests.push_back(std::move(request));
    }
    WriteStatus();
    return std::move(plan_);
  }

 private:
  struct Place {
    const NodeInfo* node;
    bool should_run;
    const PodInfo* fresh = nullptr;  // of the template as it is now
    const PodInfo* old = nullptr;
  };

  // Whether a pod should be started there, and whether one that is there may go on.
  std::pair<bool, bool> ShouldRun(const NodeInfo& node) const {
    const std::string_view named = StringAt(spec_, {"nodeName"});
    if ((!named.empty() && named != node.name) || node.deleting || !NodeMatches(spec_, node)) {
      return {false, false};
    }
    if (FirstUntolerated(node.taints, tolerations_, {"NoSchedule", "NoExecute"}) == nullptr) {
      return {true, true};
    }
    return {false, FirstUntolerated(node.taints, tolerations_, {"NoExecute"}) == nullptr};
  }

  bool Available(const PodInfo& pod) {
    if (!pod.ready || pod.deleting) return false;
    const absl::Duration left = pod.ready_since + min_ready_ - now_;
    if (min_ready_ == absl::ZeroDuration() || left <= absl::ZeroDuration()) return true;
    plan_.Again(left);
    return false;
  }
  bool IsFresh(const PodInfo& pod) const { return pod.Label(kRevisionLabel) == hash_; }

  void ManageNode(const NodeInfo& node) {
    const auto [should_run, may_go_on] = ShouldRun(node);
    std::vector<const PodInfo*> pods;
    if (auto found = by_node_.extract(node.name)) pods = std::move(found.mapped());
    Place place{.node = &node, .should_run = should_run};
    if (!may_go_on) {
      misscheduled_ += std::any_of(pods.begin(), pods.end(), IsAlive);
      for (const PodInfo* pod : pods) Delete(*pod);
      return;
    }
    std::vector<const PodInfo*> alive;
    absl::Duration wait = absl::ZeroDuration();
    bool ending = false;
    for (const PodInfo* pod : pods) {
      if (pod->deleting) {
        ending = true;
      } else if (pod->terminal()) {
        wait = std::max(wait, Replace(*pod));
        ending = true;
      } else {
        alive.push_back(pod);
      }
    }
    std::sort(alive.begin(), alive.end(), [](const PodInfo* a, const PodInfo* b) {
      return std::pair(a->node.empty(), a->created) < std::pair(b->node.empty(), b->created);
    });
    for (const PodInfo* pod : alive) {
      const PodInfo*& slot = IsFresh(*pod) ? place.fresh : place.old;
      // During an update with surge an old pod may stand beside a new one; no more.
      if (slot != nullptr || (place.fresh != nullptr && MaxSurge() == 0)) {
        Delete(*pod);
      } else {
        slot = pod;
      }
    }
    if (MaxSurge() == 0 && place.fresh != nullptr && place.old != nullptr) {
      Delete(*place.old);
      place.old = nullptr;
    }
    if (wait > absl::ZeroDuration()) plan_.Again(wait);
    if (should_run) {
      if (!alive.empty()) {
        ++current_;
      } else if (!ending && creates_.size() < kPodsPerSync) {
        creates_.push_back(node.name);
      } else if (!ending) {
        plan_.Again(absl::ZeroDuration());
      }
      CountStatus(place);
    } else {
      misscheduled_ += !alive.empty();
    }
    places_.push_back(place);
  }

  static bool IsAlive(const PodInfo* pod) { return pod->active(); }

  void CountStatus(const Place& place) {
    const PodInfo* pods[] = {place.fresh, place.old};
    ready_ += std::any_of(std::begin(pods), std::end(pods),
                          [](const PodInfo* pod) { return pod != nullptr && pod->ready; });
    available_ += std::any_of(std::begin(pods), std::end(pods), [&](const PodInfo* pod) {
      return pod != nullptr && Available(*pod);
    });
    updated_ += place.fresh != nullptr;
  }

  // How long to wait before a pod that has ended is replaced.
  absl::Duration Replace(const PodInfo& pod) {
    const bool failed = pod.phase == PodPhase::kFailed;
    const absl::Duration ran = pod.finished - pod.created;
    if (failed && pod.finished != absl::InfinitePast() && ran < kFailedPodPause &&
        now_ - pod.finished < kFailedPodPause) {
      return pod.finished + kFailedPodPause - now_;
    }
    plan_.notes.push_back({failed, failed ? "FailedDaemonPod" : "SucceededDaemonPod",
                           base::StrCat("Found ", failed ? "failed" : "succeeded", " daemon pod ",
                                        pod.ns, "/", pod.name, " on node ", pod.node,
                                        ", will try to ", failed ? "kill" : "delete", " it")});
    Delete(pod);
    return absl::ZeroDuration();
  }

  void Delete(const PodInfo& pod) {
    if (pod.deleting) return;
    Request request = DeleteRequest(kPodRef, pod.ns, pod.name, pod.uid);
    request.done = {false, "SuccessfulDelete", "Deleted pod: %s"};
    request.failed = {true, "FailedDelete", "Error deleting: %s"};
    deletes_.push_back(std::move(request));
  }

  int64_t MaxSurge() const {
    return ScaledValue(Find(set_, {"spec", "updateStrategy", "rollingUpdate", "maxSurge"}),
                       desired_, true, 0);
  }
  int64_t MaxUnavailable() const {
    const int64_t given =
        ScaledValue(Find(set_, {"spec", "updateStrategy", "rollingUpdate", "maxUnavailable"}),
                    desired_, true, 1);
    return MaxSurge() == 0 ? std::max<int64_t>(given, 1) : given;
  }

  void RollingUpdate() {
    const int64_t surge = MaxSurge();
    int64_t unavailable = 0, surging = 0;
    std::vector<const PodInfo*> useless, candidates;
    std::vector<std::string> more;
    for (const Place& place : places_) {
      if (surge > 0) {
        // The new one starts beside the old, which goes when the new one is available.
        if (place.old == nullptr) {
          unavailable += place.should_run && (place.fresh == nullptr || !Available(*place.fresh));
        } else if (place.fresh != nullptr) {
          if (Available(*place.fresh)) {
            useless.push_back(place.old);
          } else {
            ++surging;
            if (!Available(*place.old)) useless.push_back(place.old);
          }
        } else if (place.should_run) {
          if (!Available(*place.old)) useless.push_back(place.old);
          more.push_back(place.node->name);
        }
        continue;
      }
      const PodInfo* pod = place.fresh != nullptr ? place.fresh : place.old;
      if (pod == nullptr) {
        unavailable += place.should_run;
      } else if (place.old == nullptr) {
        unavailable += !Available(*pod);
      } else if (!Available(*pod)) {
        ++unavailable;
        useless.push_back(pod);
      } else {
        candidates.push_back(pod);
      }
    }
    for (const PodInfo* pod : useless) Delete(*pod);
    if (surge > 0) {
      for (size_t i = 0; i < more.size() && surging < surge; ++i, ++surging) {
        creates_.push_back(more[i]);
      }
      return;
    }
    const int64_t left = MaxUnavailable() - unavailable;
    for (int64_t i = 0; i < left && i < static_cast<int64_t>(candidates.size()); ++i) {
      Delete(*candidates[static_cast<size_t>(i)]);
    }
  }

  Request NewPod(const std::string& node) const {
    json::object pod = PodOf(ObjectAt(set_, {"spec", "template"}), "apps/v1", "DaemonSet", set_);
    json::object& metadata = pod["metadata"].as_object();
    metadata["generateName"] = base::StrCat(NameOf(set_), "-");
    *Ensure(metadata, {"labels", kRevisionLabel}) = hash_;
    *Ensure(metadata, {"labels", "pod-template-generation"}) =
        base::StrCat(IntAt(set_, {"metadata", "generation"}, 1));
    json::object& spec = pod["spec"].as_object();
    *Ensure(spec, {"affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"}) =
        json::object{
            {"nodeSelectorTerms",
             json::array{json::object{
                 {"matchFields", json::array{json::object{{"key", "metadata.name"},
                                                          {"operator", "In"},
                                                          {"values", json::array{node}}}}}}}}};
    spec["tolerations"] = tolerations_;
    return {.verb = Request::Verb::kCreate,
            .resource = kPodRef,
            .ns = std::string(NamespaceOf(set_)),
            .body = std::move(pod),
            .done = {false, "SuccessfulCreate", "Created pod: %s"},
            .failed = {true, "FailedCreate", "Error creating: %s"}};
  }

  void WriteStatus() {
    json::object status = ObjectAt(set_, {"status"});
    status["currentNumberScheduled"] = current_;
    status["numberMisscheduled"] = misscheduled_;
    status["desiredNumberScheduled"] = desired_;
    status["numberReady"] = ready_;
    status["observedGeneration"] = IntAt(set_, {"metadata", "generation"}, 1);
    for (const auto& [name, count] :
         {std::pair("updatedNumberScheduled", updated_), std::pair("numberAvailable", available_),
          std::pair("numberUnavailable", desired_ - available_)}) {
      if (count > 0) {
        status[name] = count;
      } else {
        status.erase(name);
      }
    }
    if (status != ObjectAt(set_, {"status"})) plan_.status = std::move(status);
  }

  const json::object& set_;
  const DaemonSetState& state_;
  const absl::Time now_;
  const json::object& spec_;
  json::array tolerations_;
  const absl::Duration min_ready_;
  std::string hash_;
  std::map<std::string, std::vector<const PodInfo*>> by_node_;  // of nodes not yet managed
  std::vector<Place> places_;
  std::vector<std::string> creates_;
  std::vector<Request> deletes_;
  int64_t desired_ = 0, current_ = 0, misscheduled_ = 0, ready_ = 0, available_ = 0, updated_ = 0;
  Plan plan_;
};

}  // namespace

Plan ReconcileDaemonSet(const DaemonSetState& state) { return DaemonSetReconcile(state).Run(); }

json::array DaemonTolerations(bool host_network) {
  json::array all{Toleration("node.kubernetes.io/not-ready", "NoExecute"),
                  Toleration("node.kubernetes.io/unreachable", "NoExecute"),
                  Toleration("node.kubernetes.io/disk-pressure", "NoSchedule"),
                  Toleration("node.kubernetes.io/memory-pressure", "NoSchedule"),
                  Toleration("node.kubernetes.io/pid-pressure", "NoSchedule"),
                  Toleration("node.kubernetes.io/unschedulable", "NoSchedule")};
  if (host_network) {
    all.push_back(Toleration("node.kubernetes.io/network-unavailable", "NoSchedule"));
  }
  return all;
}

}  // namespace keel::orchestrator
