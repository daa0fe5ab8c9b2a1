#include "orchestrator/controllers/cron_job_reconcile.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/strings.h"
#include "orchestrator/controllers/cron_schedule.h"
#include "orchestrator/controllers/job_reconcile.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {
namespace {

constexpr int kManyMissed = 100;
// Timers may be a little early.
constexpr absl::Duration kTimerSlack = absl::Milliseconds(100);

std::string MailTime(absl::Time time) {
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S %z", time, absl::UTCTimeZone());
}

std::string ErrorText(const absl::Status& status) { return std::string(status.message()); }

class CronJobReconcile {
 public:
  explicit CronJobReconcile(const CronJobState& state)
      : cron_job_(state.cron_job),
        jobs_(state.jobs),
        now_(state.now),
        status_(ObjectAt(cron_job_, {"status"})),
        active_(ArrayAt(cron_job_, {"status", "active"})) {}

  Plan Run() {
    UpdateActive();
    CleanUp();
    if (StringAt(cron_job_, {"metadata", "deletionTimestamp"}).empty() &&
        !BoolAt(cron_job_, {"spec", "suspend"})) {
      StartIfDue();
    }
    if (active_.empty()) {
      status_.erase("active");
    } else {
      status_["active"] = std::move(active_);
    }
    if (status_ != ObjectAt(cron_job_, {"status"})) plan_.status = std::move(status_);
    return std::move(plan_);
  }

 private:
  const json::object* JobOf(std::string_view uid) const {
    for (const json::object* job : jobs_) {
      if (UidOf(*job) == uid) return job;
    }
    return nullptr;
  }

  json::object ReferenceTo(const json::object& job) const {
    json::object reference{{"kind", "Job"},
                           {"namespace", NamespaceOf(job)},
                           {"name", NameOf(job)},
                           {"uid", UidOf(job)},
                           {"apiVersion", "batch/v1"}};
    const std::string_view version = StringAt(job, {"metadata", "resourceVersion"});
    if (!version.empty()) reference["resourceVersion"] = version;
    return reference;
  }

  void UpdateActive() {
    json::array still;
    for (const json::value& reference : active_) {
      const json::object* job = JobOf(StringAt(reference, {"uid"}));
      if (job == nullptr) {
        plan_.notes.push_back(
            {false, "MissingJob",
             base::StrCat("Active job went missing: ", StringAt(reference, {"name"}))});
      } else if (JobIsFinished(*job)) {
        const bool complete = ConditionIsTrue(*job, "Complete");
        plan_.notes.push_back({false, "SawCompletedJob",
                               base::StrCat("Saw completed job: ", NameOf(*job),
                                            ", condition: ", complete ? "Complete" : "Failed")});
      } else {
        still.push_back(reference);
      }
    }
    for (const json::object* job : jobs_) {
      if (JobIsFinished(*job)) {
        const std::string_view done = StringAt(*job, {"status", "completionTime"});
        if (TimeOf(done) > TimeOf(StringAt(status_, {"lastSuccessfulTime"}))) {
          status_["lastSuccessfulTime"] = done;
        }
        continue;
      }
      const bool listed = std::any_of(still.begin(), still.end(), [&](const json::value& each) {
        return StringAt(each, {"uid"}) == UidOf(*job);
      });
      // One whose start was not written down before this program was killed, or a manual one.
      if (!listed) still.push_back(ReferenceTo(*job));
    }
    active_ = std::move(still);
  }

  void CleanUp() {
    for (const auto& [type, limit_name, otherwise] :
         {std::tuple("Complete", "successfulJobsHistoryLimit", 3),
          std::tuple("Failed", "failedJobsHistoryLimit", 1)}) {
      const int64_t limit = IntAt(cron_job_, {"spec", limit_name}, otherwise);
      std::vector<const json::object*> done;
      for (const json::object* job : jobs_) {
        if (ConditionIsTrue(*job, type)) done.push_back(job);
      }
      std::sort(done.begin(), done.end(), [](const json::object* a, const json::object* b) {
        const auto key = [](const json::object& job) {
          return std::pair(TimeOf(StringAt(job, {"status", "startTime"})), NameOf(job));
        };
        return key(*a) < key(*b);
      });
      for (int64_t i = 0; i + limit < static_cast<int64_t>(done.size()); ++i) {
        const json::object& job = *done[static_cast<size_t>(i)];
        if (StringAt(job, {"metadata", "deletionTimestamp"}).empty()) Delete(job);
      }
    }
  }

  void Delete(const json::object& job) {
    Request request = DeleteRequest(kJobRef, NamespaceOf(job), NameOf(job), UidOf(job));
    request.done = {false, "SuccessfulDelete", "Deleted job %s"};
    request.failed = {true, "FailedDelete", "Deleted job: %s"};
    plan_.requests.push_back(std::move(request));
  }

  void StartIfDue() {
    const std::string_view text = StringAt(cron_job_, {"spec", "schedule"});
    const std::string_view zone_name = StringAt(cron_job_, {"spec", "timeZone"});
    const auto zone = ZoneOf(zone_name);
    if (!zone.ok()) {
      plan_.notes.push_back(
          {true, "UnknownTimeZone",
           base::StrCat("invalid timeZone: \"", zone_name, "\": ", ErrorText(zone.status()))});
      return;
    }
    const auto schedule = CronSchedule::Parse(text);
    if (!schedule.ok()) {
      plan_.notes.push_back(
          {true, "UnparseableSchedule",
           base::StrCat("unparseable schedule: \"", text, "\" : ", ErrorText(schedule.status()))});
      return;
    }
    const absl::Time last = TimeOf(StringAt(status_, {"lastScheduleTime"}));
    absl::Time since = last != absl::InfinitePast()
                           ? last
                           : TimeOf(StringAt(cron_job_, {"metadata", "creationTimestamp"}), now_);
    const json::value* deadline_at = Find(cron_job_, {"spec", "startingDeadlineSeconds"});
    const absl::Duration deadline = deadline_at != nullptr && deadline_at->is_int64()
                                        ? absl::Seconds(deadline_at->get_int64())
                                        : absl::InfiniteDuration();
    const absl::Time before_window = since;
    since = std::max(since, now_ - deadline);
    const absl::Time next = schedule->Next(now_, *zone);
    if (next != absl::InfiniteFuture()) plan_.Again(next - now_ + kTimerSlack);
    const absl::Time due = schedule->Latest(since, now_, *zone);
    if (due == absl::InfinitePast()) {
      const absl::Time missed = schedule->Latest(before_window, now_, *zone);
      // Told once: what lies more than a check of the schedule behind has been told.
      if (missed != absl::InfinitePast() && now_ - missed < deadline + absl::Minutes(1)) {
        plan_.notes.push_back(
            {true, "MissSchedule",
             base::StrCat("Missed scheduled time to start a job: ", MailTime(missed))});
      }
      return;
    }
    const int missed = schedule->CountBetween(since, now_, *zone, kManyMissed + 1);
    if (missed > kManyMissed) {
      plan_.notes.push_back(
          {true, "TooManyMissedTimes",
           base::StrCat("too many missed start times: ", missed,
                        ". Set or decrease .spec.startingDeadlineSeconds or check clock skew")});
    }
    Start(due);
  }

  void Start(absl::Time due) {
    const std::string name = base::StrCat(NameOf(cron_job_), "-", absl::ToUnixSeconds(due) / 60);
    for (const json::object* job : jobs_) {
      if (NameOf(*job) != name) continue;
      status_["lastScheduleTime"] = TimeText(due);  // Started, and killed before saying so.
      return;
    }
    const std::string_view policy = StringAt(cron_job_, {"spec", "concurrencyPolicy"});
    if (policy == "Forbid" && !active_.empty()) {
      plan_.notes.push_back({false, "JobAlreadyActive",
                             "Not starting job because prior execution is running and concurrency "
                             "policy is Forbid"});
      return;
    }
    if (policy == "Replace") {
      for (const json::value& reference : active_) {
        if (const json::object* job = JobOf(StringAt(reference, {"uid"}))) Delete(*job);
      }
      active_.clear();
    }
    json::object metadata = ObjectAt(cron_job_, {"spec", "jobTemplate", "metadata"});
    metadata["name"] = name;
    metadata["namespace"] = NamespaceOf(cron_job_);
    *Ensure(metadata, {"annotations", "batch.kubernetes.io/cronjob-scheduled-timestamp"}) =
        TimeText(due);
    metadata["ownerReferences"] = json::array{OwnerReferenceTo("batch/v1", "CronJob", cron_job_)};
    plan_.requests.push_back(
        {.verb = Request::Verb::kCreate,
         .resource = kJobRef,
         .ns = std::string(NamespaceOf(cron_job_)),
         .name = name,
         .body = json::object{{"apiVersion", "batch/v1"},
                              {"kind", "Job"},
                              {"metadata", std::move(metadata)},
                              {"spec", ObjectAt(cron_job_, {"spec", "jobTemplate", "spec"})}},
         .done = {false, "SuccessfulCreate", "Created job %s"},
         .failed = {true, "FailedCreate", "Error creating job: %s"}});
    status_["lastScheduleTime"] = TimeText(due);
    plan_.status_needs_requests = true;
  }

  const json::object& cron_job_;
  const std::vector<const json::object*>& jobs_;
  const absl::Time now_;
  json::object status_;
  json::array active_;
  Plan plan_;
};

}  // namespace

Plan ReconcileCronJob(const CronJobState& state) { return CronJobReconcile(state).Run(); }

}  // namespace keel::orchestrator
