#include "orchestrator/kinds/common/rbac.h"

namespace keel::orchestrator {

Kind ClusterRoleBindingKind() {
  return BindingKindOf({.kind = "ClusterRoleBinding",
                        .plural = "clusterrolebindings",
                        .namespaced = false,
                        .purpose = "Who has a role in all namespaces and for the cluster."});
}

}  // namespace keel::orchestrator
