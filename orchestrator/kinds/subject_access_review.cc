#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

Kind SubjectAccessReviewKind() {
  return {
      .group = "authorization.k8s.io",
      .version = "v1",
      .kind = "SubjectAccessReview",
      .plural = "subjectaccessreviews",
      .namespaced = false,
      .create_only = true,
      .types = R"(
# Asks whether somebody may do something.
SubjectAccessReview {
  spec!   SubjectAccessReviewSpec    -- Who and what.
  status  SubjectAccessReviewStatus  -- The answer.
}
)",
  };
}

}  // namespace keel::orchestrator
