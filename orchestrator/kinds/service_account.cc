#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

Kind ServiceAccountKind() {
  return {
      .version = "v1",
      .kind = "ServiceAccount",
      .plural = "serviceaccounts",
      .short_names = {"sa"},
      .types = R"(
# Who the processes of a pod are to the API server.
ServiceAccount {
  secrets                       [ObjectReference] key(name) dups       -- Secrets that its pods may use.
  imagePullSecrets              [LocalObjectReference] atomic     -- Secrets to pull its pods' images with.
  automountServiceAccountToken  bool                              -- Whether its pods get a token.
}
)",
      .columns = {CellColumn("Secrets", "integer", 0,
                             [](const json::object& object, absl::Time) -> json::value {
                               return ArrayAt(object, {"secrets"}).size();
                             }),
                  AgeColumn()},
  };
}

}  // namespace keel::orchestrator
