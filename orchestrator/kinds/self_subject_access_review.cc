#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

Kind SelfSubjectAccessReviewKind() {
  return {
      .group = "authorization.k8s.io",
      .version = "v1",
      .kind = "SelfSubjectAccessReview",
      .plural = "selfsubjectaccessreviews",
      .namespaced = false,
      .create_only = true,
      .types = R"(
# Asks whether one may do something oneself.
SelfSubjectAccessReview {
  spec!   SelfSubjectAccessReviewSpec  -- What.
  status  SubjectAccessReviewStatus    -- The answer.
}
# What a SelfSubjectAccessReview asks.
SelfSubjectAccessReviewSpec {
  resourceAttributes     ResourceAttributes     -- The action on a resource.
  nonResourceAttributes  NonResourceAttributes  -- The action on a path.
}
)",
  };
}

}  // namespace keel::orchestrator
