#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

Kind LocalSubjectAccessReviewKind() {
  return {
      .group = "authorization.k8s.io",
      .version = "v1",
      .kind = "LocalSubjectAccessReview",
      .plural = "localsubjectaccessreviews",
      .namespaced = true,
      .create_only = true,
      .types = R"(
# Asks whether somebody may do something in a namespace.
LocalSubjectAccessReview {
  spec!   SubjectAccessReviewSpec    -- Who and what.
  status  SubjectAccessReviewStatus  -- The answer.
}
)",
  };
}

}  // namespace keel::orchestrator
