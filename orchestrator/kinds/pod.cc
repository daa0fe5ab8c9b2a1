#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/pod_check.h"
#include "orchestrator/kinds/common/pod_columns.h"
#include "orchestrator/kinds/common/pod_spec.h"
#include "orchestrator/kinds/common/prepare.h"

namespace keel::orchestrator {
namespace {

void SetDefaults(json::object& object) {
  json::object* spec = ObjectIn(object, {"spec"});
  if (spec == nullptr) return;
  SetPodSpecDefaults(*spec);
  SetRequestsFromLimits(*spec);
}

void Prepare(json::object& object, const json::object* before) {
  // Admission may have named a service account since the defaults were set.
  if (json::object* spec = ObjectIn(object, {"spec"})) SetPodSpecDefaults(*spec);
  json::object initial{{"phase", "Pending"}};
  initial["qosClass"] = QosClassOf(ObjectAt(object, {"spec"}));
  ResetStatus(object, before, std::move(initial));
}

}  // namespace

Kind PodKind() {
  return {
      .version = "v1",
      .kind = "Pod",
      .plural = "pods",
      .short_names = {"po"},
      .categories = {"all"},
      .types = R"(
# Containers that run together on one node.
Pod {
  spec!   PodSpec    -- What runs, and how.
  status  PodStatus  -- What is known of it.
}
)",
      .columns = PodColumns(),
      .has_status = true,
      .has_generation = true,
      .selectable_fields = {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
                            "spec.serviceAccountName", "spec.hostNetwork", "status.phase",
                            "status.podIP", "status.podIPs", "status.nominatedNodeName"},
      .set_defaults = SetDefaults,
      .prepare = Prepare,
      .check =
          [](const json::object& object, FieldErrors& errors) {
            CheckPodSpec(ObjectAt(object, {"spec"}), "spec", errors);
          },
      .check_update = CheckPodUpdate,
  };
}

}  // namespace keel::orchestrator
