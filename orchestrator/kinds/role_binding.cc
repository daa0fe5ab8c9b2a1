#include "orchestrator/kinds/common/rbac.h"

namespace keel::orchestrator {

Kind RoleBindingKind() {
  return BindingKindOf({.kind = "RoleBinding",
                        .plural = "rolebindings",
                        .namespaced = true,
                        .purpose = "Who has a role in a namespace."});
}

}  // namespace keel::orchestrator
