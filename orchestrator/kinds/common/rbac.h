// What the kinds of role-based access control share.
#pragma once

#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

extern const char kRbacTypes[];  // PolicyRule, RoleRef, Subject

// Rules of a role; those of a namespace cannot name paths.
void CheckRules(const json::object& role, bool namespaced, FieldErrors& errors);

void SetBindingDefaults(json::object& binding);
void CheckBinding(const json::object& binding, bool namespaced, FieldErrors& errors);
void CheckBindingUpdate(const json::object& binding, const json::object& before,
                        FieldErrors& errors);
std::vector<Column> BindingColumns();

}  // namespace keel::orchestrator
