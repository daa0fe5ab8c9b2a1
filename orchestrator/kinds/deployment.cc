#include "base/strings.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/pod_spec.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/workload_check.h"

namespace keel::orchestrator {
namespace {

void SetDefaults(json::object& object) {
  SetPodTemplateDefaults(object, {"spec", "template"});
  json::object* strategy = ObjectIn(object, {"spec", "strategy"});
  if (strategy == nullptr || StringAt(*strategy, {"type"}) != "RollingUpdate") return;
  SetDefault(*strategy, "rollingUpdate", json::object());
  if (json::object* rolling = ObjectIn(*strategy, {"rollingUpdate"})) {
    SetDefault(*rolling, "maxUnavailable", "25%");
    SetDefault(*rolling, "maxSurge", "25%");
  }
}

json::value ReadyCell(const json::object& object, absl::Time) {
  return json::value(base::StrCat(IntAt(object, {"status", "readyReplicas"}), "/",
                                  IntAt(object, {"spec", "replicas"})));
}

void Check(const json::object& object, FieldErrors& errors) {
  CheckNotNegative(object, {"spec", "replicas"}, errors);
  CheckNotNegative(object, {"spec", "minReadySeconds"}, errors);
  CheckNotNegative(object, {"spec", "revisionHistoryLimit"}, errors);
  CheckTemplate(object, TemplateRule{}, errors);
  if (const json::value* strategy = Find(object, {"spec", "strategy"})) {
    if (StringAt(*strategy, {"type"}) == "Recreate" &&
        Find(*strategy, {"rollingUpdate"}) != nullptr) {
      errors.Forbidden("spec.strategy.rollingUpdate",
                       "may not be specified when strategy `type` is 'Recreate'");
    } else {
      CheckRollingUpdate(object, {"spec", "strategy", "rollingUpdate"}, errors);
    }
  }
  const json::value* deadline = Find(object, {"spec", "progressDeadlineSeconds"});
  if (deadline != nullptr && deadline->is_int64()) {
    CheckNotNegative(object, {"spec", "progressDeadlineSeconds"}, errors);
    if (deadline->get_int64() <= IntAt(object, {"spec", "minReadySeconds"})) {
      errors.InvalidValue("spec.progressDeadlineSeconds", *deadline,
                          "must be greater than minReadySeconds");
    }
  }
}

}  // namespace

Kind DeploymentKind() {
  return {
      .group = "apps",
      .version = "v1",
      .kind = "Deployment",
      .plural = "deployments",
      .short_names = {"deploy"},
      .categories = {"all"},
      .types = R"(
# Keeps a number of like pods running and brings changes of their template out step by step.
Deployment {
  spec    DeploymentSpec    -- What is wanted.
  status  DeploymentStatus  -- What is.
}
# What is wanted of a Deployment.
DeploymentSpec {
  replicas                 int32 = 1                 -- How many pods are wanted.
  selector!                LabelSelector immutable   -- Which pods are counted; must fit the template's labels.
  template!                PodTemplateSpec           -- What new pods look like.
  strategy                 DeploymentStrategy = {} retainkeys -- How new pods take the place of old ones.
  minReadySeconds          int32                     -- Seconds that a pod must be ready to count as available.
  revisionHistoryLimit     int32 = 10                -- How many old ReplicaSets are kept for a rollback.
  paused                   bool                      -- Changes of the template wait.
  progressDeadlineSeconds  int32 = 600               -- Seconds without progress after which it counts as failed.
}
# How new pods take the place of old ones.
DeploymentStrategy {
  type           string = "RollingUpdate" enum(Recreate, RollingUpdate) -- Recreate or RollingUpdate.
  rollingUpdate  RollingUpdateDeployment  -- Only for RollingUpdate.
}
# By how much a rolling update may go over or under the wanted number.
RollingUpdateDeployment {
  maxUnavailable  intstr  -- How many pods may be missing, as a number or a percentage.
  maxSurge        intstr  -- How many pods may be too many, as a number or a percentage.
}
# What is known of a Deployment.
DeploymentStatus {
  observedGeneration   int64  -- The generation that the status is about.
  replicas             int32  -- How many pods there are.
  updatedReplicas      int32  -- How many of them are of the newest template.
  readyReplicas        int32  -- How many of them are ready.
  availableReplicas    int32  -- How many of them have been ready for long enough.
  unavailableReplicas  int32  -- How many more are needed.
  terminatingReplicas  int32  -- How many pods are being deleted.
  conditions           [DeploymentCondition] key(type) dups  -- Aspects of its state.
  collisionCount       int32  -- Makes names of ReplicaSets that collided differ.
}
# One aspect of a Deployment's state.
DeploymentCondition {
  type!               string         -- Which aspect.
  status!             string         -- True, False or Unknown.
  lastUpdateTime      time nullable  -- When it was last updated.
  lastTransitionTime  time nullable  -- When the status last changed.
  reason              string         -- Why, as one word for programs.
  message             string         -- Why, for people.
}
)",
      .columns = Join({CellColumn("Ready", "string", 0, ReadyCell),
                       IntColumn("Up-to-date", {"status", "updatedReplicas"}),
                       IntColumn("Available", {"status", "availableReplicas"}), AgeColumn()},
                      Join(ContainerColumns(), {SelectorColumn({"spec", "selector"})})),
      .has_status = true,
      .scale = {{"spec", "replicas"}, {"status", "replicas"}, {"spec", "selector"}},
      .has_generation = true,
      .set_defaults = SetDefaults,
      .prepare = [](json::object& object,
                    const json::object* before) { ResetStatus(object, before); },
      .check = Check,
  };
}

}  // namespace keel::orchestrator
