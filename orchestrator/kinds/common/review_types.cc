#include "orchestrator/kinds/common/review_types.h"

namespace keel::orchestrator {

const char kReviewTypes[] = R"(
# Who asks.
UserInfo {
  username  string           -- The name.
  uid       string           -- The identifier.
  groups    [string] atomic  -- The groups.
  extra     {[string]}       -- What else is known.
}
# An action on a resource.
ResourceAttributes {
  namespace      string  -- The namespace; empty: all of them, or none.
  verb           string  -- What is done; *: everything.
  group          string  -- The group; *: all.
  version        string  -- The version; *: all.
  resource       string  -- The resource; *: all.
  subresource    string  -- The subresource.
  name           string  -- The name; empty: all.
  fieldSelector  any     -- Only objects of this field selector.
  labelSelector  any     -- Only objects of this label selector.
}
# An action on a path that is no resource.
NonResourceAttributes {
  path  string  -- The path.
  verb  string  -- The method in lower case.
}
# What a SubjectAccessReview asks.
SubjectAccessReviewSpec {
  resourceAttributes     ResourceAttributes     -- The action on a resource.
  nonResourceAttributes  NonResourceAttributes  -- The action on a path.
  user                   string                 -- Who.
  groups                 [string] atomic        -- The groups.
  extra                  {[string]}             -- What else is known.
  uid                    string                 -- The identifier.
}
# The answer to whether something may be done.
SubjectAccessReviewStatus {
  allowed!         bool    -- Whether it may.
  denied           bool    -- Whether it is refused whatever others say.
  reason           string  -- Why.
  evaluationError  string  -- What went wrong on the way.
}
)";

}  // namespace keel::orchestrator
