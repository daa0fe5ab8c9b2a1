#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

Kind TokenReviewKind() {
  return {
      .group = "authentication.k8s.io",
      .version = "v1",
      .kind = "TokenReview",
      .plural = "tokenreviews",
      .namespaced = false,
      .create_only = true,
      .types = R"(
# Asks who a token belongs to.
TokenReview {
  spec!   TokenReviewSpec    -- The token.
  status  TokenReviewStatus  -- The answer.
}
# The token that is asked about.
TokenReviewSpec {
  token      string           -- The token.
  audiences  [string] atomic  -- For whom it must be.
}
# Who a token belongs to.
TokenReviewStatus {
  authenticated  bool             -- Whether it is good.
  user           UserInfo         -- Who it belongs to.
  audiences      [string] atomic  -- For whom it is.
  error          string           -- What is wrong with it.
}
)",
  };
}

}  // namespace keel::orchestrator
