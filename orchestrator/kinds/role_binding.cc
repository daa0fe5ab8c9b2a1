#include "orchestrator/kinds/common/rbac.h"

namespace keel::orchestrator {

Kind RoleBindingKind() {
  return {
      .group = "rbac.authorization.k8s.io",
      .version = "v1",
      .kind = "RoleBinding",
      .plural = "rolebindings",
      .namespaced = true,
      .types = R"(
# Who has a role in a namespace.
RoleBinding {
  subjects  [Subject] atomic  -- Who.
  roleRef!  RoleRef           -- The role; cannot be changed.
}
)",
      .columns = BindingColumns(),
      .name_rule = Kind::NameRule::kPathSegment,
      .can_create_by_update = true,
      .set_defaults = SetBindingDefaults,
      .check = [](const json::object& object,
                  FieldErrors& errors) { CheckBinding(object, true, errors); },
      .check_update = CheckBindingUpdate,
  };
}

}  // namespace keel::orchestrator
