#include "orchestrator/kinds/common/rbac.h"

namespace keel::orchestrator {

Kind RoleKind() {
  return {
      .group = "rbac.authorization.k8s.io",
      .version = "v1",
      .kind = "Role",
      .plural = "roles",
      .namespaced = true,
      .types = R"(
# What may be done to the resources of a namespace.
Role {
  rules  [PolicyRule] atomic  -- What may be done.
}
)",
      .columns = {TextColumn("Created At", {"metadata", "creationTimestamp"})},
      .name_rule = Kind::NameRule::kPathSegment,
      .can_create_by_update = true,
      .check = [](const json::object& object,
                  FieldErrors& errors) { CheckRules(object, true, errors); },
  };
}

}  // namespace keel::orchestrator
