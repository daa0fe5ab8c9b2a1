// The reviews: questions about who somebody is and what they may do, asked by creating an object
// that is answered and not kept.
//
// On the API server's loop only.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/apiserver/access/authenticators.h"
#include "orchestrator/apiserver/access/authorizer.h"

namespace keel::orchestrator {

bool IsReviewResource(std::string_view group, std::string_view resource);

// REQUIRES: IsReviewResource of the attributes' group and resource. BadRequest, Invalid.
absl::StatusOr<json::object> AnswerReview(const Attributes& attributes, const json::object& request,
                                          UnionAuthenticator& authenticator,
                                          UnionAuthorizer& authorizer, absl::Time now);

}  // namespace keel::orchestrator
