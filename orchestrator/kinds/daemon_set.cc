#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/pod_spec.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/types.h"
#include "orchestrator/kinds/common/workload_check.h"

namespace keel::orchestrator {
namespace {

void SetDefaults(json::object& object) {
  SetPodTemplateDefaults(object, {"spec", "template"});
  json::object* strategy = ObjectIn(object, {"spec", "updateStrategy"});
  if (strategy == nullptr || StringAt(*strategy, {"type"}) != "RollingUpdate") return;
  SetDefault(*strategy, "rollingUpdate", json::object());
  if (json::object* rolling = ObjectIn(*strategy, {"rollingUpdate"})) {
    SetDefault(*rolling, "maxUnavailable", 1);
    SetDefault(*rolling, "maxSurge", 0);
  }
}

void Prepare(json::object& object, const json::object* before) {
  ResetStatus(object, before,
              {{"currentNumberScheduled", 0},
               {"numberMisscheduled", 0},
               {"desiredNumberScheduled", 0},
               {"numberReady", 0}});
}

void Check(const json::object& object, FieldErrors& errors) {
  CheckNotNegative(object, {"spec", "minReadySeconds"}, errors);
  CheckNotNegative(object, {"spec", "revisionHistoryLimit"}, errors);
  CheckTemplate(object, TemplateRule{}, errors);
  CheckRollingUpdate(object, {"spec", "updateStrategy", "rollingUpdate"}, errors);
}

}  // namespace

Kind DaemonSetKind() {
  return {
      .group = "apps",
      .version = "v1",
      .kind = "DaemonSet",
      .plural = "daemonsets",
      .short_names = {"ds"},
      .categories = {"all"},
      .types = R"(
# Keeps one pod running on each node that fits.
DaemonSet {
  spec    DaemonSetSpec    -- What is wanted.
  status  DaemonSetStatus  -- What is.
}
# What is wanted of a DaemonSet.
DaemonSetSpec {
  selector!             LabelSelector immutable       -- Which pods are counted; must fit the template's labels.
  template!             PodTemplateSpec               -- What new pods look like.
  updateStrategy        DaemonSetUpdateStrategy = {}  -- How new pods take the place of old ones.
  minReadySeconds       int32                         -- Seconds that a pod must be ready to count as available.
  revisionHistoryLimit  int32 = 10                    -- How many old templates are kept for a rollback.
}
# How new pods take the place of old ones.
DaemonSetUpdateStrategy {
  type           string = "RollingUpdate" enum(OnDelete, RollingUpdate) -- RollingUpdate or OnDelete.
  rollingUpdate  RollingUpdateDaemonSet  -- Only for RollingUpdate.
}
# By how much a rolling update may go over or under.
RollingUpdateDaemonSet {
  maxUnavailable  intstr  -- How many nodes may be without a pod, as a number or a percentage.
  maxSurge        intstr  -- How many nodes may have two pods, as a number or a percentage.
}
# What is known of a DaemonSet.
DaemonSetStatus {
  currentNumberScheduled!  int32  -- How many nodes have a pod that should have one.
  numberMisscheduled!      int32  -- How many nodes have a pod that should not.
  desiredNumberScheduled!  int32  -- How many nodes should have a pod.
  numberReady!             int32  -- How many nodes have a ready pod.
  observedGeneration       int64  -- The generation that the status is about.
  updatedNumberScheduled   int32  -- How many nodes have a pod of the newest template.
  numberAvailable          int32  -- How many nodes have a pod that has been ready for long enough.
  numberUnavailable        int32  -- How many nodes lack such a pod.
  collisionCount           int32  -- Makes names of revisions that collided differ.
  conditions               [DaemonSetCondition] key(type) dups  -- Aspects of its state.
}
)" + ConditionType("DaemonSet"),
      .columns = Join(
          {IntColumn("Desired", {"status", "desiredNumberScheduled"}),
           IntColumn("Current", {"status", "currentNumberScheduled"}),
           IntColumn("Ready", {"status", "numberReady"}),
           IntColumn("Up-to-date", {"status", "updatedNumberScheduled"}),
           IntColumn("Available", {"status", "numberAvailable"}),
           MapColumn("Node Selector", {"spec", "template", "spec", "nodeSelector"}), AgeColumn()},
          Join(ContainerColumns(), {SelectorColumn({"spec", "selector"})})),
      .has_status = true,
      .has_generation = true,
      .set_defaults = SetDefaults,
      .prepare = Prepare,
      .check = Check,
  };
}

}  // namespace keel::orchestrator
