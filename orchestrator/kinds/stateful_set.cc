#include "base/strings.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/pod_spec.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/types.h"
#include "orchestrator/kinds/common/workload_check.h"

namespace keel::orchestrator {
namespace {

void SetDefaults(json::object& object) {
  SetPodTemplateDefaults(object, {"spec", "template"});
  if (json::object* strategy = ObjectIn(object, {"spec", "updateStrategy"});
      strategy != nullptr && StringAt(*strategy, {"type"}) == "RollingUpdate") {
    SetDefault(*strategy, "rollingUpdate", json::object());
    if (json::object* rolling = ObjectIn(*strategy, {"rollingUpdate"})) {
      SetDefault(*rolling, "partition", 0);
    }
  }
  if (json::array* claims = ArrayIn(object, {"spec", "volumeClaimTemplates"})) {
    for (json::value& claim : *claims) {
      if (!claim.is_object()) continue;
      SetDefault(claim.get_object(), "kind", "PersistentVolumeClaim");
      SetDefault(claim.get_object(), "apiVersion", "v1");
      SetDefault(claim.get_object(), "status", json::object{{"phase", "Pending"}});
    }
  }
}

void Check(const json::object& object, FieldErrors& errors) {
  CheckNotNegative(object, {"spec", "replicas"}, errors);
  CheckNotNegative(object, {"spec", "minReadySeconds"}, errors);
  CheckNotNegative(object, {"spec", "revisionHistoryLimit"}, errors);
  CheckNotNegative(object, {"spec", "ordinals", "start"}, errors);
  CheckNotNegative(object, {"spec", "updateStrategy", "rollingUpdate", "partition"}, errors);
  if (const json::value* most =
          Find(object, {"spec", "updateStrategy", "rollingUpdate", "maxUnavailable"})) {
    CheckIntOrPercent(*most, "spec.updateStrategy.rollingUpdate.maxUnavailable", true, errors);
  }
  CheckTemplate(object, TemplateRule{}, errors);
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  json::object now = ObjectAt(object, {"spec"});
  json::object was = ObjectAt(before, {"spec"});
  for (const char* may_change :
       {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}) {
    now.erase(may_change);
    was.erase(may_change);
  }
  if (now != was) {
    errors.Forbidden(
        "spec",
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
        "'minReadySeconds' are forbidden");
  }
}

json::value ReadyCell(const json::object& object, absl::Time) {
  return json::value(base::StrCat(IntAt(object, {"status", "readyReplicas"}), "/",
                                  IntAt(object, {"spec", "replicas"})));
}

}  // namespace

Kind StatefulSetKind() {
  return {
      .group = "apps",
      .version = "v1",
      .kind = "StatefulSet",
      .plural = "statefulsets",
      .short_names = {"sts"},
      .categories = {"all"},
      .types = R"(
# Keeps numbered pods running, each with a name and volumes of its own.
StatefulSet {
  spec    StatefulSetSpec    -- What is wanted.
  status  StatefulSetStatus  -- What is.
}
# What is wanted of a StatefulSet.
StatefulSetSpec {
  replicas                              int32 = 1                 -- How many pods are wanted.
  selector!                             LabelSelector             -- Which pods are counted; must fit the template's labels.
  template!                             PodTemplateSpec           -- What new pods look like.
  volumeClaimTemplates                  [StatefulSetClaim] atomic -- Claims that each pod gets.
  serviceName                           string                    -- The service that gives the pods their names.
  podManagementPolicy                   string = "OrderedReady" enum(OrderedReady, Parallel) -- One after the other, or all at once.
  updateStrategy                        StatefulSetUpdateStrategy = {} -- How new pods take the place of old ones.
  revisionHistoryLimit                  int32 = 10                -- How many old templates are kept for a rollback.
  minReadySeconds                       int32                     -- Seconds that a pod must be ready to count as available.
  persistentVolumeClaimRetentionPolicy  StatefulSetPersistentVolumeClaimRetentionPolicy = {} -- What becomes of the claims.
  ordinals                              StatefulSetOrdinals       -- Where the numbers start.
}
# A claim that each pod of a StatefulSet gets.
StatefulSetClaim {
  apiVersion  string                       -- v1.
  kind        string                       -- PersistentVolumeClaim.
  metadata    ObjectMeta                   -- Name, labels and annotations of the claim.
  spec        PersistentVolumeClaimSpec    -- The claim.
  status      PersistentVolumeClaimStatus  -- Not used.
}
# How new pods take the place of old ones.
StatefulSetUpdateStrategy {
  type           string = "RollingUpdate" enum(OnDelete, RollingUpdate) -- RollingUpdate or OnDelete.
  rollingUpdate  RollingUpdateStatefulSetStrategy  -- Only for RollingUpdate.
}
# How far a rolling update goes.
RollingUpdateStatefulSetStrategy {
  partition       int32   -- Only pods with this number or a higher one are updated.
  maxUnavailable  intstr  -- How many pods may be missing at once.
}
# What becomes of claims.
StatefulSetPersistentVolumeClaimRetentionPolicy {
  whenDeleted  string = "Retain" enum(Delete, Retain)  -- When the set is deleted.
  whenScaled   string = "Retain" enum(Delete, Retain)  -- When the set gets smaller.
}
# Where the numbers of pods start.
StatefulSetOrdinals {
  start  int32  -- The first number.
}
# What is known of a StatefulSet.
StatefulSetStatus {
  observedGeneration  int64   -- The generation that the status is about.
  replicas!           int32   -- How many pods there are.
  readyReplicas       int32   -- How many of them are ready.
  currentReplicas     int32   -- How many of them are of currentRevision.
  updatedReplicas     int32   -- How many of them are of updateRevision.
  currentRevision     string  -- The revision from which an update comes.
  updateRevision      string  -- The revision to which an update goes.
  collisionCount      int32   -- Makes names of revisions that collided differ.
  conditions          [StatefulSetCondition] key(type) dups  -- Aspects of its state.
  availableReplicas   int32   -- How many of them have been ready for long enough.
}
)" + ConditionType("StatefulSet"),
      .columns =
          Join({CellColumn("Ready", "string", 0, ReadyCell), AgeColumn()}, ContainerColumns()),
      .has_status = true,
      .scale = {{"spec", "replicas"}, {"status", "replicas"}, {"spec", "selector"}},
      .has_generation = true,
      .set_defaults = SetDefaults,
      .prepare =
          [](json::object& object, const json::object* before) {
            ResetStatus(object, before, {{"replicas", 0}, {"availableReplicas", 0}});
          },
      .check = Check,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
