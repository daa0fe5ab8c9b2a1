#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/api/time.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/job_spec.h"
#include "orchestrator/kinds/common/prepare.h"

namespace keel::orchestrator {
namespace {

// Unless the selector is the user's own, a job's pods are those with its UID.
void Prepare(json::object& object, const json::object* before) {
  ResetStatus(object, before);
  json::object* spec = ObjectIn(object, {"spec"});
  const std::string uid(UidOf(object));
  if (before != nullptr || spec == nullptr || BoolAt(*spec, {"manualSelector"}) || uid.empty()) {
    return;
  }
  const std::string name(NameOf(object));
  json::value& labels = *Ensure(*spec, {"template", "metadata", "labels"});
  if (!labels.is_object()) labels = json::object();
  labels.get_object()["controller-uid"] = uid;
  labels.get_object()["batch.kubernetes.io/controller-uid"] = uid;
  labels.get_object()["job-name"] = name;
  labels.get_object()["batch.kubernetes.io/job-name"] = name;
  *Ensure(*spec, {"selector", "matchLabels", "batch.kubernetes.io/controller-uid"}) = uid;
}

void Check(const json::object& object, FieldErrors& errors) {
  const json::object& spec = ObjectAt(object, {"spec"});
  const json::value* selector = Find(spec, {"selector"});
  if (selector == nullptr) {
    errors.Required("spec.selector", "");
  } else {
    CheckLabelSelector(*selector, "spec.selector", errors);
    const json::object& labels = ObjectAt(spec, {"template", "metadata", "labels"});
    const auto wanted = LabelSelector::FromObject(selector);
    if (wanted.ok() && !wanted->Matches(labels)) {
      errors.InvalidValue("spec.template.metadata.labels", labels,
                          "`selector` does not match template `labels`");
    }
  }
  CheckJobSpec(spec, "spec", errors);
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  const bool indexed = StringAt(before, {"spec", "completionMode"}) == "Indexed";
  // A job that is suspended and has not started may still get other places for its pods.
  const bool may_move =
      BoolAt(before, {"spec", "suspend"}) && Find(before, {"status", "startTime"}) == nullptr;
  for (std::string_view member :
       {"completions", "selector", "template", "completionMode", "podFailurePolicy",
        "backoffLimitPerIndex", "managedBy", "successPolicy"}) {
    if (member == "completions" && indexed) continue;
    const json::value* found = Find(object, {"spec", member});
    const json::value* old = Find(before, {"spec", member});
    json::value now = found == nullptr ? json::value() : *found;
    const json::value was = old == nullptr ? json::value() : *old;
    if (member == "template" && may_move && now.is_object()) {
      for (std::string_view place :
           {"nodeSelector", "affinity", "tolerations", "schedulingGates"}) {
        const json::value* kept = Find(was, {"spec", place});
        if (kept != nullptr) {
          *Ensure(now, {"spec", place}) = *kept;
        } else {
          Remove(now, {"spec", place});
        }
      }
    }
    if (now != was) {
      errors.InvalidValue(base::StrCat("spec.", member), now, kImmutable);
    }
  }
}

bool HasCondition(const json::object& job, std::string_view type) {
  for (const json::value& condition : ArrayAt(job, {"status", "conditions"})) {
    if (StringAt(condition, {"type"}) == type) return StringAt(condition, {"status"}) == "True";
  }
  return false;
}

json::value StatusCell(const json::object& job, absl::Time) {
  if (HasCondition(job, "Complete")) return "Complete";
  if (HasCondition(job, "Failed")) return "Failed";
  if (IsBeingDeleted(job)) return "Terminating";
  for (const char* type : {"Suspended", "FailureTarget", "SuccessCriteriaMet"}) {
    if (HasCondition(job, type)) return json::value(type);
  }
  return "Running";
}

json::value CompletionsCell(const json::object& job, absl::Time) {
  const int64_t succeeded = IntAt(job, {"status", "succeeded"});
  if (Find(job, {"spec", "completions"}) != nullptr) {
    return json::value(base::StrCat(succeeded, "/", IntAt(job, {"spec", "completions"})));
  }
  const int64_t parallelism = IntAt(job, {"spec", "parallelism"});
  return json::value(parallelism > 1 ? base::StrCat(succeeded, "/1 of ", parallelism)
                                     : base::StrCat(succeeded, "/1"));
}

json::value DurationCell(const json::object& job, absl::Time now) {
  const auto start = ParseTime(StringAt(job, {"status", "startTime"}));
  if (!start.ok()) return "";
  const auto end = ParseTime(StringAt(job, {"status", "completionTime"}));
  return json::value(HumanDuration((end.ok() ? *end : now) - *start));
}

}  // namespace

Kind JobKind() {
  return {
      .group = "batch",
      .version = "v1",
      .kind = "Job",
      .plural = "jobs",
      .categories = {"all"},
      .types = R"(
# Runs pods until enough of them have succeeded.
Job {
  spec    JobSpec    -- What is wanted.
  status  JobStatus  -- How far it is.
}
# How far a Job is.
JobStatus {
  conditions               [JobCondition] key(type) dups -- Aspects of its state.
  startTime                time                     -- When it was started.
  completionTime           time                     -- When it was done.
  active                   int32                    -- How many pods run.
  succeeded                int32                    -- How many pods have succeeded.
  failed                   int32                    -- How many pods have failed.
  terminating              int32                    -- How many pods are ending.
  completedIndexes         string                   -- Which indexes are done: "1,3-5".
  failedIndexes            string                   -- Which indexes have failed.
  uncountedTerminatedPods  UncountedTerminatedPods  -- Pods that have ended and are not counted yet.
  ready                    int32                    -- How many pods are ready.
}
# Pods that have ended and are not counted yet.
UncountedTerminatedPods {
  succeeded  [string] set  -- UIDs of those that succeeded.
  failed     [string] set  -- UIDs of those that failed.
}
# One aspect of a Job's state.
JobCondition {
  type!               string         -- Which aspect.
  status!             string         -- True, False or Unknown.
  lastProbeTime       time nullable  -- When it was last looked at.
  lastTransitionTime  time nullable  -- When the status last changed.
  reason              string         -- Why, as one word for programs.
  message             string         -- Why, for people.
}
)",
      .columns = Join({CellColumn("Status", "string", 0, StatusCell),
                       CellColumn("Completions", "string", 0, CompletionsCell),
                       CellColumn("Duration", "string", 0, DurationCell), AgeColumn()},
                      Join(ContainerColumns(), {SelectorColumn({"spec", "selector"})})),
      .has_status = true,
      .has_generation = true,
      .selectable_fields = {"status.successful"},
      .set_defaults =
          [](json::object& object) {
            if (json::object* spec = ObjectIn(object, {"spec"})) SetJobSpecDefaults(*spec);
          },
      .prepare = Prepare,
      .check = Check,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
