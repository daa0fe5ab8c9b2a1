#include "orchestrator/kinds/common/job_spec.h"

#include "base/strings.h"
#include "orchestrator/api/names.h"
#include "orchestrator/kinds/common/pod_check.h"
#include "orchestrator/kinds/common/pod_spec.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {

const char kJobTypes[] = R"(
# What is wanted of a Job.
JobSpec {
  parallelism              int32                           -- How many pods run at once.
  completions              int32                           -- How many pods must succeed.
  activeDeadlineSeconds    int64                           -- Seconds that the job may take.
  podFailurePolicy         PodFailurePolicy                -- What failures of pods mean.
  successPolicy            SuccessPolicy                   -- When an indexed job has succeeded.
  backoffLimit             int32                           -- How often pods may fail.
  backoffLimitPerIndex     int32                           -- How often the pods of one index may fail.
  maxFailedIndexes         int32                           -- How many indexes may fail.
  selector                 LabelSelector                   -- Which pods are counted; made by the server.
  manualSelector           bool                            -- The selector is given, not made.
  template!                PodTemplateSpec                 -- What pods look like.
  ttlSecondsAfterFinished  int32                           -- Seconds after which a finished job is deleted.
  completionMode           string = "NonIndexed" enum(Indexed, NonIndexed) -- Whether each success has a number.
  suspend                  bool = false                    -- No pods run.
  podReplacementPolicy     string enum(Failed, TerminatingOrFailed) -- When a pod is replaced.
  managedBy                string                          -- Who looks after the job.
}
# What failures of pods mean.
PodFailurePolicy {
  rules!  [PodFailurePolicyRule] atomic  -- The first that fits counts.
}
# What a failure means.
PodFailurePolicyRule {
  action!          string enum(Count, FailIndex, FailJob, Ignore) -- What it means.
  onExitCodes      PodFailurePolicyOnExitCodesRequirement -- For which exit codes.
  onPodConditions  [PodFailurePolicyOnPodConditionsPattern] atomic -- For which conditions.
}
# A set of exit codes.
PodFailurePolicyOnExitCodesRequirement {
  containerName  string       -- Of which container.
  operator!      string       -- In or NotIn.
  values!        [int32] set  -- The exit codes.
}
# A condition of a pod.
PodFailurePolicyOnPodConditionsPattern {
  type!    string          -- Which.
  status   string = "True" -- Its status.
}
# When an indexed job has succeeded.
SuccessPolicy {
  rules!  [SuccessPolicyRule] atomic  -- One of them must hold.
}
# Indexes that must have succeeded.
SuccessPolicyRule {
  succeededIndexes  string  -- Which: "1,3-5".
  succeededCount    int32   -- How many of them.
}
)";

void SetJobSpecDefaults(json::object& spec) {
  SetPodTemplateDefaults(spec, {"template"});
  const bool has_completions = spec.contains("completions");
  const bool has_parallelism = spec.contains("parallelism");
  if (!has_completions && !has_parallelism) spec["completions"] = 1;
  if (!has_parallelism) spec["parallelism"] = 1;
  SetDefault(spec, "backoffLimit", spec.contains("backoffLimitPerIndex") ? 2147483647 : 6);
  SetDefault(spec, "podReplacementPolicy",
             spec.contains("podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
}

void CheckJobSpec(const json::object& spec, std::string_view path, FieldErrors& errors) {
  const json::value whole(spec);
  for (std::string_view member :
       {"parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
        "backoffLimitPerIndex", "maxFailedIndexes", "ttlSecondsAfterFinished"}) {
    CheckAtLeast(whole, member, 0, kNotNegative, path, errors);
  }
  if (StringAt(spec, {"completionMode"}) == "Indexed") {
    if (Find(spec, {"completions"}) == nullptr) {
      errors.Required(base::StrCat(path, ".completions"), "when completion mode is Indexed");
    }
  } else if (Find(spec, {"backoffLimitPerIndex"}) != nullptr) {
    errors.InvalidValue(base::StrCat(path, ".backoffLimitPerIndex"),
                        *Find(spec, {"backoffLimitPerIndex"}), "requires indexed completion mode");
  }
  const json::value* pod_template = Find(spec, {"template"});
  if (pod_template == nullptr) return;
  CheckPodTemplate(*pod_template, base::StrCat(path, ".template"), errors);
  const std::string_view restart = StringAt(*pod_template, {"spec", "restartPolicy"});
  const std::string field = base::StrCat(path, ".template.spec.restartPolicy");
  if (restart.empty()) {
    errors.Required(field, "valid values: \"OnFailure\", \"Never\"");
  } else if (restart != "OnFailure" && restart != "Never") {
    errors.NotSupported(field, json::value(restart), {"OnFailure", "Never"});
  }
}

}  // namespace keel::orchestrator
