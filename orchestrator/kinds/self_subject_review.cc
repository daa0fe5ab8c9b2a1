#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

Kind SelfSubjectReviewKind() {
  return {
      .group = "authentication.k8s.io",
      .version = "v1",
      .kind = "SelfSubjectReview",
      .plural = "selfsubjectreviews",
      .namespaced = false,
      .create_only = true,
      .types = R"(
# Asks who one is oneself.
SelfSubjectReview {
  status  SelfSubjectReviewStatus  -- The answer.
}
# Who one is.
SelfSubjectReviewStatus {
  userInfo  UserInfo  -- Who.
}
)",
  };
}

}  // namespace keel::orchestrator
