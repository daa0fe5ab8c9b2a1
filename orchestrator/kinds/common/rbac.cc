#include "orchestrator/kinds/common/rbac.h"

#include "base/strings.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {

const char kRbacTypes[] = R"(
# What may be done to what.
PolicyRule {
  verbs!           [string] atomic  -- What may be done: get, list, ...; *: everything.
  apiGroups        [string] atomic  -- Of which groups; "" is the core group; *: all.
  resources        [string] atomic  -- To which resources; *: all.
  resourceNames    [string] atomic  -- Only to objects of these names.
  nonResourceURLs  [string] atomic  -- To which paths that are no resources.
}
# Names a role.
RoleRef atomic {
  apiGroup  string = "rbac.authorization.k8s.io"  -- Group of the role.
  kind!     string  -- Role or ClusterRole.
  name!     string  -- Name of the role.
}
# Who gets a role.
Subject atomic {
  kind!      string  -- User, Group or ServiceAccount.
  apiGroup   string  -- Group of the subject.
  name!      string  -- Name of the subject.
  namespace  string  -- Namespace of a service account.
}
)";

namespace {

constexpr char kGroup[] = "rbac.authorization.k8s.io";

Column SubjectsColumn(std::string name, std::string kind) {
  return CellColumn(
      std::move(name), "string", 1,
      [kind = std::move(kind)](const json::object& object, absl::Time) -> json::value {
        std::string out;
        for (const json::value& subject : ArrayAt(object, {"subjects"})) {
          if (StringAt(subject, {"kind"}) != kind) continue;
          if (!out.empty()) out += ", ";
          if (kind == "ServiceAccount") {
            out += base::StrCat(StringAt(subject, {"namespace"}), "/");
          }
          out += StringAt(subject, {"name"});
        }
        return json::value(out);
      });
}

void SetBindingDefaults(json::object& binding) {
  json::array* subjects = ArrayIn(binding, {"subjects"});
  if (subjects == nullptr) return;
  for (json::value& subject : *subjects) {
    if (!subject.is_object()) continue;
    const std::string_view kind = StringAt(subject, {"kind"});
    if (kind == "User" || kind == "Group") SetDefault(subject.get_object(), "apiGroup", kGroup);
  }
}

void CheckBinding(const json::object& binding, bool namespaced, FieldErrors& errors) {
  if (const json::value* role = Find(binding, {"roleRef"})) {
    const std::string_view group = StringAt(*role, {"apiGroup"});
    if (group != kGroup) errors.NotSupported("roleRef.apiGroup", json::value(group), {kGroup});
    const std::string_view kind = StringAt(*role, {"kind"});
    if (kind != "ClusterRole" && (kind != "Role" || !namespaced)) {
      errors.NotSupported("roleRef.kind", json::value(kind),
                          namespaced ? std::vector<std::string>{"Role", "ClusterRole"}
                                     : std::vector<std::string>{"ClusterRole"});
    }
    if (RequireText(*role, "name", "roleRef", errors)) {
      const std::string_view name = StringAt(*role, {"name"});
      AddComplaints(CheckPathSegment(name), "roleRef.name", json::value(name), errors);
    }
  }
  size_t i = 0;
  for (const json::value& subject : ArrayAt(binding, {"subjects"})) {
    const std::string field = base::StrCat("subjects[", i++, "]");
    RequireText(subject, "name", field, errors);
    const std::string_view kind = StringAt(subject, {"kind"});
    const std::string_view group = StringAt(subject, {"apiGroup"});
    if (kind == "ServiceAccount") {
      if (!group.empty()) errors.NotSupported(field + ".apiGroup", json::value(group), {""});
      const std::string_view ns = StringAt(subject, {"namespace"});
      if (ns.empty()) errors.Required(field + ".namespace", "");
      if (const std::string_view name = StringAt(subject, {"name"}); !name.empty()) {
        AddComplaints(CheckDns1123Subdomain(name), field + ".name", json::value(name), errors);
      }
    } else if (kind == "User" || kind == "Group") {
      if (group != kGroup) errors.NotSupported(field + ".apiGroup", json::value(group), {kGroup});
    } else {
      errors.NotSupported(field + ".kind", json::value(kind), {"ServiceAccount", "User", "Group"});
    }
  }
}

void CheckBindingUpdate(const json::object& binding, const json::object& before,
                        FieldErrors& errors) {
  if (ObjectAt(binding, {"roleRef"}) != ObjectAt(before, {"roleRef"})) {
    errors.InvalidValue("roleRef", ObjectAt(binding, {"roleRef"}), "cannot change roleRef");
  }
}

std::vector<Column> BindingColumns() {
  return {CellColumn("Role", "string", 0,
                     [](const json::object& object, absl::Time) -> json::value {
                       return json::value(base::StrCat(StringAt(object, {"roleRef", "kind"}), "/",
                                                       StringAt(object, {"roleRef", "name"})));
                     }),
          AgeColumn(), SubjectsColumn("Users", "User"), SubjectsColumn("Groups", "Group"),
          SubjectsColumn("ServiceAccounts", "ServiceAccount")};
}

}  // namespace

void CheckRules(const json::object& role, bool namespaced, FieldErrors& errors) {
  size_t i = 0;
  for (const json::value& rule : ArrayAt(role, {"rules"})) {
    const std::string field = base::StrCat("rules[", i++, "]");
    if (ArrayAt(rule, {"verbs"}).empty()) {
      errors.Required(field + ".verbs", "verbs must contain at least one value");
    }
    const json::array& paths = ArrayAt(rule, {"nonResourceURLs"});
    const json::array& groups = ArrayAt(rule, {"apiGroups"});
    const json::array& resources = ArrayAt(rule, {"resources"});
    if (!paths.empty()) {
      if (namespaced) {
        errors.InvalidValue(field + ".nonResourceURLs", paths,
                            "namespaced rules cannot apply to non-resource URLs");
      }
      if (!groups.empty() || !resources.empty() || !ArrayAt(rule, {"resourceNames"}).empty()) {
        errors.InvalidValue(field + ".nonResourceURLs", paths,
                            "rules cannot apply to both regular resources and non-resource URLs");
      }
      continue;
    }
    if (groups.empty()) {
      errors.Required(field + ".apiGroups", "resource rules must supply at least one api group");
    }
    if (resources.empty()) {
      errors.Required(field + ".resources", "resource rules must supply at least one resource");
    }
  }
}

Kind BindingKindOf(const BindingKind& binding) {
  return {
      .group = kGroup,
      .version = "v1",
      .kind = binding.kind,
      .plural = binding.plural,
      .namespaced = binding.namespaced,
      .types = base::StrCat("# ", binding.purpose, "\n", binding.kind, R"( {
  subjects  [Subject] atomic  -- Who.
  roleRef!  RoleRef           -- The role; cannot be changed.
}
)"),
      .columns = BindingColumns(),
      .name_rule = Kind::NameRule::kPathSegment,
      .can_create_by_update = true,
      .set_defaults = SetBindingDefaults,
      .check = [namespaced = binding.namespaced](
                   const json::object& object,
                   FieldErrors& errors) { CheckBinding(object, namespaced, errors); },
      .check_update = CheckBindingUpdate,
  };
}

}  // namespace keel::orchestrator
