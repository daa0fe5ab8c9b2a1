#include "orchestrator/controllers/job_reconcile.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/strings.h"
#include "orchestrator/controllers/job_indexes.h"

namespace keel::orchestrator {
namespace {

constexpr size_t kPodsPerSync = 500;
constexpr absl::Duration kFirstBackoff = absl::Seconds(10);
constexpr absl::Duration kLongestBackoff = absl::Minutes(10);
constexpr std::string_view kIndexKey = "batch.kubernetes.io/job-completion-index";

bool HasFinalizer(const PodInfo& pod) {
  return std::find(pod.finalizers.begin(), pod.finalizers.end(), kJobTrackingFinalizer) !=
         pod.finalizers.end();
}

struct Failure {
  std::string reason, message;
};

// One run of the function: the steps share what they have found out.
class JobReconcile {
 public:
  explicit JobReconcile(const JobState& state)
      : job_(state.job),
        pods_(state.pods),
        now_(state.now),
        status_(ObjectAt(job_, {"status"})),
        conditions_(ArrayAt(job_, {"status", "conditions"})),
        indexed_(StringAt(job_, {"spec", "completionMode"}) == "Indexed"),
        replace_failed_only_(StringAt(job_, {"spec", "podReplacementPolicy"}) == "Failed" ||
                             Find(job_, {"spec", "podFailurePolicy"}) != nullptr),
        parallelism_(IntAt(job_, {"spec", "parallelism"}, 1)),
        completions_(IntAt(job_, {"spec", "completions"}, -1)) {
    if (completions_ < 0 && Find(job_, {"spec", "parallelism"}) == nullptr) completions_ = 1;
  }

  Plan Run() {
    if (!StringAt(job_, {"metadata", "deletionTimestamp"}).empty()) {
      ReleaseAll();
      return std::move(plan_);
    }
    if (JobIsFinished(job_)) {
      ReleaseAll();
      DeleteWhenOld();
      return std::move(plan_);
    }
    Classify();
    Count();
    Suspend();
    const std::optional<Failure> failure = WhyFailed();
    const bool complete = !failure && IsComplete();
    if (failure || complete) {
      Finish(failure);
    } else if (suspended_) {
      for (const PodInfo* pod : active_) DeletePod(*pod, /*release=*/true);
      active_count_ = 0;
    } else {
      Manage();
    }
    WriteStatus();
    return std::move(plan_);
  }

 private:
  void ReleaseAll() {
    for (const PodInfo* pod : pods_) {
      if (HasFinalizer(*pod)) plan_.requests.push_back(ReleaseJobPod(*pod));
    }
  }

  void DeleteWhenOld() {
    const json::value* ttl = Find(job_, {"spec", "ttlSecondsAfterFinished"});
    if (ttl == nullptr || !ttl->is_int64()) return;
    const absl::Time due = JobFinishTime(job_) + absl::Seconds(ttl->get_int64());
    if (now_ < due) return plan_.Again(due - now_);
    Request request = DeleteRequest(kJobRef, NamespaceOf(job_), NameOf(job_), UidOf(job_));
    *Ensure(request.body, {"propagationPolicy"}) = "Foreground";
    plan_.requests.push_back(std::move(request));
  }

  void Classify() {
    for (const PodInfo* pod : pods_) {
      if (pod->active()) {
        active_.push_back(pod);
        ready_ += pod->ready;
      } else if (!pod->terminal()) {
        ++terminating_;
      }
    }
    active_count_ = static_cast<int64_t>(active_.size());
  }

  // A pod that is being deleted has failed for the job, unless replacements wait for its end (which
  // nobody reports of one that never came to a node).
  bool HasFailed(const PodInfo& pod) const {
    if (pod.terminal()) return pod.phase == PodPhase::kFailed;
    return pod.deleting && (!replace_failed_only_ || pod.node.empty());
  }

  void Count() {
    absl::flat_hash_map<std::string_view, const PodInfo*> by_uid;
    for (const PodInfo* pod : pods_) by_uid[pod->uid] = pod;
    if (indexed_) done_ = IndexesOf(StringAt(job_, {"status", "completedIndexes"}), completions_);
    absl::flat_hash_set<std::string> known;
    json::array waiting[2];  // uids that stay uncounted: succeeded, failed
    static constexpr std::string_view kLists[2] = {"succeeded", "failed"};
    int64_t counts[2];
    for (int i = 0; i < 2; ++i) {
      counts[i] = IntAt(job_, {"status", kLists[i]});
      for (const json::value& uid :
           ArrayAt(job_, {"status", "uncountedTerminatedPods", kLists[i]})) {
        if (!uid.is_string()) continue;
        known.insert(std::string(View(uid.get_string())));
        const auto found = by_uid.find(View(uid.get_string()));
        if (found != by_uid.end() && HasFinalizer(*found->second)) {
          waiting[i].push_back(uid);
          plan_.requests.push_back(ReleaseJobPod(*found->second));
        } else if (i == 1 || !indexed_) {
          ++counts[i];
        }
      }
    }
    for (const PodInfo* pod : pods_) {
      if (!HasFinalizer(*pod) || known.contains(pod->uid)) continue;
      const int64_t index = CompletionIndexOf(*pod);
      if (pod->phase == PodPhase::kSucceeded) {
        if (indexed_) {
          // A second success of an index, or one beyond the completions, counts for nothing.
          const bool counts_now =
              index >= 0 && index < completions_ && !done_[static_cast<size_t>(index)];
          if (!counts_now) {
            plan_.requests.push_back(ReleaseJobPod(*pod));
            continue;
          }
          done_[static_cast<size_t>(index)] = true;
        }
        waiting[0].push_back(json::value(pod->uid));
      } else if (HasFailed(*pod)) {
        if (!CountsAsFailure(*pod)) {
          plan_.requests.push_back(ReleaseJobPod(*pod));
          continue;
        }
        waiting[1].push_back(json::value(pod->uid));
      }
    }
    all_counted_ = waiting[0].empty() && waiting[1].empty();
    if (indexed_) {
      // Of an Indexed job the indexes are the count.
      succeeded_ = std::count(done_.begin(), done_.end(), true);
      counts[0] = succeeded_ - static_cast<int64_t>(waiting[0].size());
      SetText("completedIndexes", IndexesText(done_));
    } else {
      succeeded_ = counts[0] + static_cast<int64_t>(waiting[0].size());
    }
    failed_ = counts[1] + static_cast<int64_t>(waiting[1].size());
    SetCount("succeeded", counts[0]);
    SetCount("failed", counts[1]);
    json::object uncounted;
    for (int i = 0; i < 2; ++i) {
      if (!waiting[i].empty()) uncounted[kLists[i]] = std::move(waiting[i]);
    }
    status_["uncountedTerminatedPods"] = std::move(uncounted);
  }

  // By spec.podFailurePolicy; remembers a failure of the whole job.
  bool CountsAsFailure(const PodInfo& pod) {
    int64_t index = -1;
    for (const json::value& rule : ArrayAt(job_, {"spec", "podFailurePolicy", "rules"})) {
      ++index;
      std::string why;
      if (const json::value* codes = Find(rule, {"onExitCodes"})) {
        const std::string_view container = StringAt(*codes, {"containerName"});
        const bool in = StringAt(*codes, {"operator"}) == "In";
        for (const auto& [name, code] : pod.exit_codes) {
          if (code == 0 || (!container.empty() && name != container)) continue;
          const json::array& values = ArrayAt(*codes, {"values"});
          const bool among =
              std::find(values.begin(), values.end(), json::value(code)) != values.end();
          if (among != in) continue;
          why = base::StrCat("Container ", name, " for pod ", pod.ns, "/", pod.name,
                             " failed with exit code ", code);
          break;
        }
      }
      for (const json::value& condition : ArrayAt(rule, {"onPodConditions"})) {
        if (StringAt(condition, {"type"}) != "DisruptionTarget" || !pod.disruption_target) continue;
        why = base::StrCat("Pod ", pod.ns, "/", pod.name, " has condition DisruptionTarget");
      }
      if (why.empty()) continue;
      const std::string_view action = StringAt(rule, {"action"});
      if (action == "FailJob" && !policy_failure_) {
        policy_failure_ = Failure{"PodFailurePolicy",
                                  base::StrCat(why, " matching FailJob rule at index ", index)};
      }
      return action != "Ignore";
    }
    return true;
  }

  void Suspend() {
    suspended_ = BoolAt(job_, {"spec", "suspend"});
    const bool was = ConditionIsTrue(job_, "Suspended");
    if (suspended_) {
      if (SetCondition(conditions_, "Suspended", true, "JobSuspended", "Job suspended", now_,
                       true) &&
          !was) {
        plan_.notes.push_back({false, "Suspended", "Job suspended"});
      }
      status_.erase("startTime");
      started_ = absl::InfiniteFuture();
      return;
    }
    if (was) {
      SetCondition(conditions_, "Suspended", false, "JobResumed", "Job resumed", now_, true);
      plan_.notes.push_back({false, "Resumed", "Job resumed"});
      status_.erase("startTime");
    }
    if (StringAt(status_, {"startTime"}).empty()) status_["startTime"] = TimeText(now_);
    started_ = TimeOf(StringAt(status_, {"startTime"}));
  }

  std::optional<Failure> WhyFailed() {
    // What has been decided stands, whatever the counts say now.
    for (const json::value& condition : conditions_) {
      if (StringAt(condition, {"status"}) != "True") continue;
      if (StringAt(condition, {"type"}) == "FailureTarget") {
        return Failure{std::string(StringAt(condition, {"reason"})),
                       std::string(StringAt(condition, {"message"}))};
      }
      if (StringAt(condition, {"type"}) == "SuccessCriteriaMet") return std::nullopt;
    }
    if (policy_failure_) return policy_failure_;
    const int64_t limit = IntAt(job_, {"spec", "backoffLimit"}, 6);
    bool beyond = failed_ > limit;
    if (StringAt(job_, {"spec", "template", "spec", "restartPolicy"}) == "OnFailure") {
      int64_t restarts = 0;
      for (const PodInfo* pod : active_) restarts += pod->restarts;
      beyond = beyond || restarts >= std::max<int64_t>(limit, 1);
    }
    if (beyond) {
      return Failure{"BackoffLimitExceeded", "Job has reached the specified backoff limit"};
    }
    const json::value* deadline = Find(job_, {"spec", "activeDeadlineSeconds"});
    if (deadline != nullptr && deadline->is_int64() && !suspended_) {
      const absl::Time due = started_ + absl::Seconds(deadline->get_int64());
      if (now_ >= due) {
        return Failure{"DeadlineExceeded", "Job was active longer than specified deadline"};
      }
      plan_.Again(due - now_);
    }
    return std::nullopt;
  }

  bool IsComplete() const {
    for (const json::value& condition : conditions_) {
      if (StringAt(condition, {"type"}) == "SuccessCriteriaMet" &&
          StringAt(condition, {"status"}) == "True") {
        return true;
      }
    }
    if (completions_ < 0) return succeeded_ > 0 && active_count_ == 0;
    return succeeded_ >= completions_;
  }

  // First says how it ends and stops what still runs; when all is over and counted, it has ended.
  void Finish(const std::optional<Failure>& failure) {
    static constexpr std::string_view kDone = "CompletionsReached";
    static constexpr std::string_view kDoneText = "Reached expected number of succeeded pods";
    const std::string_view reason = failure ? std::string_view(failure->reason) : kDone;
    const std::string_view message = failure ? std::string_view(failure->message) : kDoneText;
    SetCondition(conditions_, failure ? "FailureTarget" : "SuccessCriteriaMet", true, reason,
                 message, now_, true);
    for (const PodInfo* pod : active_) DeletePod(*pod, /*release=*/!failure);
    if (active_count_ > 0 || terminating_ > 0 || !all_counted_) return;
    SetCondition(conditions_, failure ? "Failed" : "Complete", true, reason, message, now_, true);
    if (failure) {
      plan_.notes.push_back({true, failure->reason, failure->message});
    } else {
      status_["completionTime"] = TimeText(now_);
      plan_.notes.push_back({false, "Completed", "Job completed"});
    }
  }

  void DeletePod(const PodInfo& pod, bool release) {
    if (release && HasFinalizer(pod)) plan_.requests.push_back(ReleaseJobPod(pod));
    Request request = DeleteRequest(kPodRef, pod.ns, pod.name, pod.uid);
    request.done = {false, "SuccessfulDelete", "Deleted pod: %s"};
    request.failed = {true, "FailedDelete", "Error deleting: %s"};
    deletes_.push_back(std::move(request));
  }

  // How long until failed pods may be replaced.
  absl::Duration Backoff() const {
    absl::Time last_success = absl::InfinitePast(), last_failure = absl::InfinitePast();
    for (const PodInfo* pod : pods_) {
      if (pod->phase == PodPhase::kSucceeded) last_success = std::max(last_success, pod->finished);
    }
    int failures = 0;
    for (const PodInfo* pod : pods_) {
      if (pod->phase != PodPhase::kFailed || pod->finished <= last_success) continue;
      ++failures;
      last_failure = std::max(last_failure, pod->finished);
    }
    if (failures == 0 || last_failure == absl::InfinitePast()) return absl::ZeroDuration();
    const absl::Duration wait =
        std::min(kLongestBackoff, kFirstBackoff * (1 << std::min(failures - 1, 10)));
    return last_failure + wait - now_;
  }

  void Manage() {
    // Those that go: of indexes that are done, doubled or beyond, then the least useful.
    std::vector<const PodInfo*> keep = active_;
    std::stable_sort(keep.begin(), keep.end(), [](const PodInfo* a, const PodInfo* b) {
      const auto rank = [](const PodInfo& pod) {
        return std::tuple(!pod.node.empty(), pod.phase == PodPhase::kRunning, pod.ready);
      };
      if (rank(*a) != rank(*b)) return rank(*a) > rank(*b);
      return a->created < b->created;
    });
    std::vector<bool> taken = done_;
    if (indexed_) {
      std::erase_if(keep, [&](const PodInfo* pod) {
        const int64_t index = CompletionIndexOf(*pod);
        const bool useless =
            index < 0 || index >= completions_ || taken[static_cast<size_t>(index)];
        if (useless) {
          DeletePod(*pod, /*release=*/true);
        } else {
          taken[static_cast<size_t>(index)] = true;
        }
        return useless;
      });
    }
    int64_t want = parallelism_;
    if (completions_ >= 0) {
      want = std::min(parallelism_, completions_ - succeeded_);
    } else if (succeeded_ > 0) {
      want = std::min<int64_t>(parallelism_, static_cast<int64_t>(keep.size()));
    }
    while (static_cast<int64_t>(keep.size()) > want) {
      DeletePod(*keep.back(), /*release=*/true);
      keep.pop_back();
    }
    active_count_ = static_cast<int64_t>(keep.size());
    int64_t missing = want - active_count_;
    if (replace_failed_only_) missing -= terminating_;
    if (missing <= 0) return;
    if (const absl::Duration wait = Backoff(); wait > absl::ZeroDuration()) {
      return plan_.Again(wait);
    }
    if (missing > static_cast<int64_t>(kPodsPerSync)) {
      missing = kPodsPerSync;
      plan_.Again(absl::ZeroDuration());
    }
    int64_t index = 0;
    for (int64_t i = 0; i < missing; ++i) {
      while (indexed_ && index < completions_ && taken[static_cast<size_t>(index)]) ++index;
      if (indexed_ && index >= completions_) break;
      creates_.push_back(NewPod(indexed_ ? index++ : -1));
    }
    active_count_ += static_cast<int64_t>(creates_.size());
  }

  Request NewPod(int64_t index) const {
    json::object pod = PodOf(ObjectAt(job_, {"spec", "template"}), "batch/v1", "Job", job_);
    json::object& metadata = pod["metadata"].as_object();
    metadata["generateName"] = base::StrCat(NameOf(job_), "-");
    for (const std::string_view prefix : {"", "batch.kubernetes.io/"}) {
      *Ensure(metadata, {"labels", base::StrCat(prefix, "controller-uid")}) = UidOf(job_);
      *Ensure(metadata, {"labels", base::StrCat(prefix, "job-name")}) = NameOf(job_);
    }
    json::value* finalizers = Ensure(metadata, {"finalizers"});
    if (!finalizers->is_array()) *finalizers = json::array();
    finalizers->get_array().push_back(json::value(kJobTrackingFinalizer));
    if (index >= 0) Number(pod, index);
    Request request{.verb = Request::Verb::kCreate,
                    .resource = kPodRef,
                    .ns = std::string(NamespaceOf(job_)),
                    .body = std::move(pod),
                    .done = {false, "SuccessfulCreate", "Created pod: %s"},
                    .failed = {true, "FailedCreate", "Error creating: %s"}};
    return request;
  }

  void Number(json::object& pod, int64_t index) const {
    const std::string text = base::StrCat(index);
    json::object& metadata = pod["metadata"].as_object();
    metadata["generateName"] = base::StrCat(NameOf(job_), "-", text, "-");
    *Ensure(metadata, {"annotations", kIndexKey}) = text;
    *Ensure(metadata, {"labels", kIndexKey}) = text;
    json::object& spec = pod["spec"].as_object();
    if (StringAt(spec, {"hostname"}).empty()) {
      spec["hostname"] = base::StrCat(NameOf(job_), "-", text);
    }
    for (const char* list : {"initContainers", "containers"}) {
      json::value* containers = Find(spec, {list});
      if (containers == nullptr || !containers->is_array()) continue;
      for (json::value& container : containers->get_array()) {
        json::value* env = Ensure(container, {"env"});
        if (!env->is_array()) *env = json::array();
        env->get_array().push_back(json::object{
            {"name", "JOB_COMPLETION_INDEX"},
            {"valueFrom",
             {{"fieldRef", {{"fieldPath", base::StrCat("metadata.labels['", kIndexKey, "']")}}}}}});
      }
    }
  }

  void SetCount(std::string_view name, int64_t count) {
    if (count == 0) {
      status_.erase(name);
    } else {
      status_[name] = count;
    }
  }
  void SetText(std::string_view name, std::string text) {
    if (text.empty()) {
      status_.erase(name);
    } else {
      status_[name] = std::move(text);
    }
  }

  void WriteStatus() {
    // Finalizers go before the pods, and what ends makes room before what begins.
    std::move(deletes_.begin(), deletes_.end(), std::back_inserter(plan_.requests));
    std::move(creates_.begin(), creates_.end(), std::back_inserter(plan_.requests));
    SetCount("active", active_count_);
    status_["ready"] = ready_;
    status_["terminating"] = terminating_;
    if (!conditions_.empty()) status_["conditions"] = std::move(conditions_);
    if (status_ != ObjectAt(job_, {"status"})) plan_.status = std::move(status_);
  }

  const json::object& job_;
  const std::vector<const PodInfo*>& pods_;
  const absl::Time now_;
  json::object status_;
  json::array conditions_;
  const bool indexed_, replace_failed_only_;
  const int64_t parallelism_;
  int64_t completions_;  // -1: not given
  std::vector<const PodInfo*> active_;
  std::vector<bool> done_;  // by index
  int64_t active_count_ = 0, ready_ = 0, terminating_ = 0, succeeded_ = 0, failed_ = 0;
  bool all_counted_ = true, suspended_ = false;
  absl::Time started_;
  std::optional<Failure> policy_failure_;
  std::vector<Request> deletes_, creates_;
  Plan plan_;
};

}  // namespace

Plan ReconcileJob(const JobState& state) { return JobReconcile(state).Run(); }

bool JobIsFinished(const json::object& job) {
  return ConditionIsTrue(job, "Complete") || ConditionIsTrue(job, "Failed");
}

absl::Time JobFinishTime(const json::object& job) {
  for (const char* type : {"Complete", "Failed"}) {
    const json::object* condition = ConditionOf(job, type);
    if (condition != nullptr && StringAt(*condition, {"status"}) == "True") {
      return TimeOf(StringAt(*condition, {"lastTransitionTime"}), absl::InfiniteFuture());
    }
  }
  return absl::InfiniteFuture();
}

Request ReleaseJobPod(const PodInfo& pod) {
  json::array rest;
  for (const std::string& finalizer : pod.finalizers) {
    if (finalizer != kJobTrackingFinalizer) rest.push_back(json::value(finalizer));
  }
  json::object metadata{{"uid", pod.uid}};
  // Others may change the list meanwhile: then this is refused, and tried again.
  if (pod.resource_version != 0) {
    metadata["resourceVersion"] = base::StrCat(pod.resource_version);
  }
  metadata["finalizers"] = rest.empty() ? json::value(nullptr) : json::value(std::move(rest));
  return {.verb = Request::Verb::kMergePatch,
          .resource = kPodRef,
          .ns = pod.ns,
          .name = pod.name,
          .body = json::object{{"metadata", std::move(metadata)}}};
}

}  // namespace keel::orchestrator
