// Nobody gives away rights that they do not have: what writing a role or a binding takes.
#pragma once

#include "absl/status/status.h"
#include "orchestrator/apiserver/access/authorizer.h"
#include "orchestrator/apiserver/access/rbac.h"

namespace keel::orchestrator {

// For creations and updates of roles and bindings; OK for all else. A role may be written by who
// holds all its rules or may "escalate" it; a binding by who holds the rules of its role or may
// "bind" it. Forbidden, naming the rules that are missing.
absl::Status CheckEscalation(const AdmissionRequest& request, RbacAuthorizer& rbac,
                             UnionAuthorizer& authorizer);

}  // namespace keel::orchestrator
