#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/pod_spec.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/types.h"
#include "orchestrator/kinds/common/workload_check.h"

namespace keel::orchestrator {
namespace {

// Selector and labels are those of the template where they are not given.
void SetDefaults(json::object& object) {
  SetPodTemplateDefaults(object, {"spec", "template"});
  const json::object labels = ObjectAt(object, {"spec", "template", "metadata", "labels"});
  json::object* spec = ObjectIn(object, {"spec"});
  if (labels.empty() || spec == nullptr) return;
  if (ObjectAt(*spec, {"selector"}).empty()) (*spec)["selector"] = labels;
  if (ObjectAt(object, {"metadata", "labels"}).empty()) {
    *Ensure(object, {"metadata", "labels"}) = labels;
  }
}

void Check(const json::object& object, FieldErrors& errors) {
  CheckNotNegative(object, {"spec", "replicas"}, errors);
  CheckNotNegative(object, {"spec", "minReadySeconds"}, errors);
  if (ObjectAt(object, {"spec", "selector"}).empty()) errors.Required("spec.selector", "");
  if (Find(object, {"spec", "template"}) == nullptr) {
    errors.Required("spec.template", "");
    return;
  }
  CheckTemplate(object, TemplateRule{.selector_is_map = true}, errors);
}

}  // namespace

Kind ReplicationControllerKind() {
  return {
      .version = "v1",
      .kind = "ReplicationController",
      .plural = "replicationcontrollers",
      .short_names = {"rc"},
      .categories = {"all"},
      .types = R"(
# Keeps a number of like pods running; the older form of a ReplicaSet.
ReplicationController {
  spec    ReplicationControllerSpec    -- What is wanted.
  status  ReplicationControllerStatus  -- What is.
}
# What is wanted of a ReplicationController.
ReplicationControllerSpec {
  replicas         int32 = 1        -- How many pods are wanted.
  minReadySeconds  int32            -- Seconds that a pod must be ready to count as available.
  selector         {string} atomic  -- Labels of the pods that are counted.
  template         PodTemplateSpec  -- What new pods look like.
}
# What is known of a ReplicationController.
ReplicationControllerStatus {
  replicas!             int32  -- How many pods there are.
  fullyLabeledReplicas  int32  -- How many of them have the template's labels.
  readyReplicas         int32  -- How many of them are ready.
  availableReplicas     int32  -- How many of them have been ready for long enough.
  observedGeneration    int64  -- The generation that the status is about.
  conditions            [ReplicationControllerCondition] key(type) dups  -- Aspects of its state.
}
)" + ConditionType("ReplicationController"),
      .columns = Join(
          {IntColumn("Desired", {"spec", "replicas"}), IntColumn("Current", {"status", "replicas"}),
           IntColumn("Ready", {"status", "readyReplicas"}), AgeColumn()},
          Join(ContainerColumns(), {MapColumn("Selector", {"spec", "selector"}, 1)})),
      .has_status = true,
      .scale = {{"spec", "replicas"}, {"status", "replicas"}, {"spec", "selector"}},
      .has_generation = true,
      .selectable_fields = {"status.replicas"},
      .set_defaults = SetDefaults,
      .prepare =
          [](json::object& object, const json::object* before) {
            ResetStatus(object, before, {{"replicas", 0}});
          },
      .check = Check,
  };
}

}  // namespace keel::orchestrator
