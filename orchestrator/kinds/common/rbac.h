// What the kinds of role-based access control share.
#pragma once

#include <string>

#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

extern const char kRbacTypes[];  // PolicyRule, RoleRef, Subject

// Rules of a role; those of a namespace cannot name paths.
void CheckRules(const json::object& role, bool namespaced, FieldErrors& errors);

struct BindingKind {
  std::string kind, plural;
  bool namespaced;      // and so may name a Role
  std::string purpose;  // a sentence
};
// RoleBinding or ClusterRoleBinding.
Kind BindingKindOf(const BindingKind& binding);

}  // namespace keel::orchestrator
