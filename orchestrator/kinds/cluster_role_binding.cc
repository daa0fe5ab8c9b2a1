#include "orchestrator/kinds/common/rbac.h"

namespace keel::orchestrator {

Kind ClusterRoleBindingKind() {
  return {
      .group = "rbac.authorization.k8s.io",
      .version = "v1",
      .kind = "ClusterRoleBinding",
      .plural = "clusterrolebindings",
      .namespaced = false,
      .types = R"(
# Who has a role in all namespaces and for the cluster.
ClusterRoleBinding {
  subjects  [Subject] atomic  -- Who.
  roleRef!  RoleRef           -- The role; cannot be changed.
}
)",
      .columns = BindingColumns(),
      .name_rule = Kind::NameRule::kPathSegment,
      .can_create_by_update = true,
      .set_defaults = SetBindingDefaults,
      .check = [](const json::object& object,
                  FieldErrors& errors) { CheckBinding(object, false, errors); },
      .check_update = CheckBindingUpdate,
  };
}

}  // namespace keel::orchestrator
