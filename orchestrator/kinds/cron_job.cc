#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/cron_check.h"
#include "orchestrator/kinds/common/job_spec.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/workload_check.h"

namespace keel::orchestrator {
namespace {

void SetDefaults(json::object& object) {
  json::object* job_template = ObjectIn(object, {"spec", "jobTemplate"});
  if (job_template == nullptr) return;
  SetDefault(*job_template, "metadata", json::object());
  // Completions and limits are left to the job that is made; the pods' template is filled in here.
  if (json::object* spec = ObjectIn(*job_template, {"spec"})) SetJobSpecDefaults(*spec);
}

void Check(const json::object& object, FieldErrors& errors) {
  const json::value* schedule = Find(object, {"spec", "schedule"});
  if (schedule != nullptr && schedule->is_string()) {
    const std::string_view text = View(schedule->get_string());
    if (text.empty()) {
      errors.Required("spec.schedule", "");
    } else if (text.find("TZ") != std::string_view::npos) {
      errors.InvalidValue("spec.schedule", *schedule,
                          "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    } else if (const std::string wrong = CheckCronSchedule(text); !wrong.empty()) {
      errors.InvalidValue("spec.schedule", *schedule, wrong);
    }
  }
  CheckNotNegative(object, {"spec", "startingDeadlineSeconds"}, errors);
  CheckNotNegative(object, {"spec", "successfulJobsHistoryLimit"}, errors);
  CheckNotNegative(object, {"spec", "failedJobsHistoryLimit"}, errors);
  const std::string_view name = NameOf(object);
  // Names of jobs are made of it and eleven further characters.
  if (name.size() > 52) {
    errors.InvalidValue("metadata.name", json::value(name), "must be no more than 52 characters");
  }
  CheckJobSpec(ObjectAt(object, {"spec", "jobTemplate", "spec"}), "spec.jobTemplate.spec", errors);
}

json::value SuspendCell(const json::object& object, absl::Time) {
  return BoolAt(object, {"spec", "suspend"}) ? "True" : "False";
}

}  // namespace

Kind CronJobKind() {
  return {
      .group = "batch",
      .version = "v1",
      .kind = "CronJob",
      .plural = "cronjobs",
      .short_names = {"cj"},
      .categories = {"all"},
      .types = R"(
# Starts jobs by a schedule.
CronJob {
  spec    CronJobSpec    -- What is wanted.
  status  CronJobStatus  -- What is.
}
# What is wanted of a CronJob.
CronJobSpec {
  schedule!                   string            -- When, in the format of cron.
  timeZone                    string            -- The time zone of the schedule.
  startingDeadlineSeconds     int64             -- Seconds that a start may come too late.
  concurrencyPolicy           string = "Allow" enum(Allow, Forbid, Replace) -- What happens while the last job still runs.
  suspend                     bool = false      -- No jobs are started.
  jobTemplate!                JobTemplateSpec   -- What jobs look like.
  successfulJobsHistoryLimit  int32 = 3         -- How many finished jobs are kept.
  failedJobsHistoryLimit      int32 = 1         -- How many failed jobs are kept.
}
# What jobs that are made look like.
JobTemplateSpec {
  metadata  ObjectMeta  -- Labels and annotations of the jobs.
  spec      JobSpec     -- The jobs.
}
# What is known of a CronJob.
CronJobStatus {
  active              [ObjectReference] atomic  -- Jobs that run.
  lastScheduleTime    time                      -- When a job was last started.
  lastSuccessfulTime  time                      -- When a job last succeeded.
}
)",
      .columns = Join(
          {TextColumn("Schedule", {"spec", "schedule"}),
           TextColumn("Timezone", {"spec", "timeZone"}, "<none>"),
           CellColumn("Suspend", "boolean", 0, SuspendCell),
           CellColumn("Active", "integer", 0,
                      [](const json::object& object, absl::Time) -> json::value {
                        return ArrayAt(object, {"status", "active"}).size();
                      }),
           SinceColumn("Last Schedule", {"status", "lastScheduleTime"}, "<none>"), AgeColumn()},
          Join(ContainerColumns({"spec", "jobTemplate", "spec", "template", "spec"}),
               {SelectorColumn({"spec", "jobTemplate", "spec", "selector"})})),
      .has_status = true,
      .has_generation = true,
      .set_defaults = SetDefaults,
      .prepare = [](json::object& object,
                    const json::object* before) { ResetStatus(object, before); },
      .check = Check,
  };
}

}  // namespace keel::orchestrator
