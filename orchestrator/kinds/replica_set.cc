#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/pod_spec.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/types.h"
#include "orchestrator/kinds/common/workload_check.h"

namespace keel::orchestrator {
namespace {

void Check(const json::object& object, FieldErrors& errors) {
  CheckNotNegative(object, {"spec", "replicas"}, errors);
  CheckNotNegative(object, {"spec", "minReadySeconds"}, errors);
  CheckTemplate(object, TemplateRule{}, errors);
}

}  // namespace

Kind ReplicaSetKind() {
  return {
      .group = "apps",
      .version = "v1",
      .kind = "ReplicaSet",
      .plural = "replicasets",
      .short_names = {"rs"},
      .categories = {"all"},
      .types = R"(
# Keeps a number of like pods running.
ReplicaSet {
  spec    ReplicaSetSpec    -- What is wanted.
  status  ReplicaSetStatus  -- What is.
}
# What is wanted of a ReplicaSet.
ReplicaSetSpec {
  replicas         int32 = 1                -- How many pods are wanted.
  minReadySeconds  int32                    -- Seconds that a pod must be ready to count as available.
  selector!        LabelSelector immutable  -- Which pods are counted; must fit the template's labels.
  template         PodTemplateSpec          -- What new pods look like.
}
# What is known of a ReplicaSet.
ReplicaSetStatus {
  replicas!             int32  -- How many pods there are.
  fullyLabeledReplicas  int32  -- How many of them have the template's labels.
  readyReplicas         int32  -- How many of them are ready.
  availableReplicas     int32  -- How many of them have been ready for long enough.
  terminatingReplicas   int32  -- How many pods are being deleted.
  observedGeneration    int64  -- The generation that the status is about.
  conditions            [ReplicaSetCondition] key(type) dups  -- Aspects of its state.
}
)" + ConditionType("ReplicaSet"),
      .columns = Join(
          {IntColumn("Desired", {"spec", "replicas"}), IntColumn("Current", {"status", "replicas"}),
           IntColumn("Ready", {"status", "readyReplicas"}), AgeColumn()},
          Join(ContainerColumns(), {SelectorColumn({"spec", "selector"})})),
      .has_status = true,
      .scale = {{"spec", "replicas"}, {"status", "replicas"}, {"spec", "selector"}},
      .has_generation = true,
      .selectable_fields = {"status.replicas"},
      .set_defaults =
          [](json::object& object) {
            SetPodTemplateDefaults(object, {"spec", "template"});
          },
      .prepare =
          [](json::object& object, const json::object* before) {
            ResetStatus(object, before, {{"replicas", 0}});
          },
      .check = Check,
  };
}

}  // namespace keel::orchestrator
