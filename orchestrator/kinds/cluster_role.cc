#include "orchestrator/kinds/common/rbac.h"

namespace keel::orchestrator {

Kind ClusterRoleKind() {
  return {
      .group = "rbac.authorization.k8s.io",
      .version = "v1",
      .kind = "ClusterRole",
      .plural = "clusterroles",
      .namespaced = false,
      .types = R"(
# What may be done to the resources of all namespaces and of the cluster.
ClusterRole {
  rules  [PolicyRule] atomic  -- What may be done.
  aggregationRule  AggregationRule  -- Roles whose rules make up this one's.
}
# Roles whose rules make up another one's.
AggregationRule {
  clusterRoleSelectors  [LabelSelector] atomic  -- Which roles.
}
)",
      .columns = {TextColumn("Created At", {"metadata", "creationTimestamp"})},
      .name_rule = Kind::NameRule::kPathSegment,
      .can_create_by_update = true,
      .check = [](const json::object& object,
                  FieldErrors& errors) { CheckRules(object, false, errors); },
  };
}

}  // namespace keel::orchestrator
