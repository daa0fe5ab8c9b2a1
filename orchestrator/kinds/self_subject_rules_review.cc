#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

Kind SelfSubjectRulesReviewKind() {
  return {
      .group = "authorization.k8s.io",
      .version = "v1",
      .kind = "SelfSubjectRulesReview",
      .plural = "selfsubjectrulesreviews",
      .namespaced = false,
      .create_only = true,
      .types = R"(
# Asks what one may do in a namespace.
SelfSubjectRulesReview {
  spec!   SelfSubjectRulesReviewSpec  -- The namespace.
  status  SubjectRulesReviewStatus    -- The answer.
}
# What a SelfSubjectRulesReview asks.
SelfSubjectRulesReviewSpec {
  namespace  string  -- The namespace.
}
# What one may do.
SubjectRulesReviewStatus {
  resourceRules!     [ResourceRule] atomic     -- To resources.
  nonResourceRules!  [NonResourceRule] atomic  -- To paths.
  incomplete!        bool                      -- Whether there may be more.
  evaluationError    string                    -- What went wrong on the way.
}
# What one may do to resources.
ResourceRule {
  verbs!         [string] atomic  -- What.
  apiGroups      [string] atomic  -- Of which groups.
  resources      [string] atomic  -- To which resources.
  resourceNames  [string] atomic  -- Only to objects of these names.
}
# What one may do to paths.
NonResourceRule {
  verbs!           [string] atomic  -- What.
  nonResourceURLs  [string] atomic  -- To which paths.
}
)",
  };
}

}  // namespace keel::orchestrator
