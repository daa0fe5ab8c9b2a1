// Requests made in another's name: the Impersonate-* headers.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/apiserver/access/authorizer.h"

namespace keel::orchestrator {

// The user that the headers (names in lower case) ask for, if `asker` may be each part of it: the
// verb "impersonate" on users, groups, serviceaccounts, uids and userextras. `asker` itself when
// there are no such headers. BadRequest, Forbidden.
absl::StatusOr<User> ImpersonatedUser(
    User asker, const std::vector<std::pair<std::string, std::string>>& headers,
    UnionAuthorizer& authorizer);

}  // namespace keel::orchestrator
