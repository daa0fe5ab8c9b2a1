#include "orchestrator/apiserver/access/rbac.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/selector.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kWatched[] = {kRoles, kRoleBindings, kClusterRoles,
                                         kClusterRoleBindings};

// The user or group that a subject stands for, as Grants is keyed. Empty for what is none.
std::string KeyOf(const json::value& subject, std::string_view binding_ns) {
  const std::string_view kind = StringAt(subject, {"kind"});
  const std::string_view name = StringAt(subject, {"name"});
  if (kind == "User") return StrCat("U:", name);
  if (kind == "Group") return StrCat("G:", name);
  if (kind == "ServiceAccount") {
    std::string_view ns = StringAt(subject, {"namespace"});
    if (ns.empty()) ns = binding_ns;
    return ns.empty() ? "" : StrCat("U:system:serviceaccount:", ns, ":", name);
  }
  return {};
}

std::string Quoted(std::string_view text) { return ToJson(json::value(json::string(text))); }

// `ClusterRoleBinding "x" of ClusterRole "y" to Group "z"`
std::string DescribeGrant(const json::object& binding, size_t at) {
  const json::array& subjects = ArrayAt(binding, {"subjects"});
  const json::value subject = at < subjects.size() ? subjects[at] : json::value();
  const std::string_view ns = StringAt(binding, {"metadata", "namespace"});
  const std::string_view kind = StringAt(subject, {"kind"});
  std::string who(StringAt(subject, {"name"}));
  if (kind == "ServiceAccount") {
    const std::string_view its = StringAt(subject, {"namespace"});
    who += StrCat("/", its.empty() ? ns : its);
  }
  std::string name(StringAt(binding, {"metadata", "name"}));
  if (!ns.empty()) name += StrCat("/", ns);
  return StrCat(ns.empty() ? "ClusterRoleBinding " : "RoleBinding ", Quoted(name), " of ",
                StringAt(binding, {"roleRef", "kind"}), " ",
                Quoted(StringAt(binding, {"roleRef", "name"})), " to ", kind, " ", Quoted(who));
}

bool Selects(const json::value& selector, const json::object& labels) {
  const auto parsed = LabelSelector::FromObject(&selector);
  return parsed.ok() && parsed->Matches(labels);
}

}  // namespace

void RbacAuthorizer::ReadRoles(std::string_view resource,
                               absl::flat_hash_map<std::string, Role>& roles) {
  absl::flat_hash_map<std::string, Role> now;
  for (const ObjectView::Entry& entry : view_.List(resource, "")) {
    const std::string_view ns = StringAt(*entry.object, {"metadata", "namespace"});
    const std::string_view name = StringAt(*entry.object, {"metadata", "name"});
    std::string key = ns.empty() ? std::string(name) : StrCat(ns, "/", name);
    Role role{.mod_revision = entry.mod_revision, .object = entry.object};
    if (const auto before = roles.find(key);
        before != roles.end() && before->second.mod_revision == entry.mod_revision) {
      role.own = before->second.own;
    } else {
      role.own = std::make_shared<const PolicyRules>(ParseRules(ArrayAt(*entry.object, {"rules"})));
    }
    role.effective = role.own;
    now.emplace(std::move(key), std::move(role));
  }
  roles = std::move(now);
}

// A role that aggregates may be selected by another (edit's rules are part of admin's): so often
// that the longest chain without a circle is through.
void RbacAuthorizer::Aggregate() {
  std::vector<Role*> aggregating;
  for (auto& [name, role] : cluster_roles_) {
    if (role.object->if_contains("aggregationRule") != nullptr) {
      role.effective = std::make_shared<const PolicyRules>();
      aggregating.push_back(&role);
    }
  }
  // In the order of names: the same rules always stand in the same order.
  std::vector<std::pair<std::string_view, const Role*>> sorted;
  for (const auto& [name, role] : cluster_roles_) sorted.emplace_back(name, &role);
  std::sort(sorted.begin(), sorted.end());
  for (size_t round = 0; round < aggregating.size(); ++round) {
    bool grew = false;
    for (Role* role : aggregating) {
      PolicyRules rules;
      for (const auto& [name, other] : sorted) {
        if (other == role) continue;
        const json::object& labels = ObjectAt(*other->object, {"metadata", "labels"});
        const json::array& selectors =
            ArrayAt(*role->object, {"aggregationRule", "clusterRoleSelectors"});
        if (std::none_of(selectors.begin(), selectors.end(),
                         [&](const json::value& s) { return Selects(s, labels); })) {
          continue;
        }
        for (const PolicyRule& rule : *other->effective) {
          if (std::find(rules.begin(), rules.end(), rule) == rules.end()) rules.push_back(rule);
        }
      }
      if (rules != *role->effective) {
        role->effective = std::make_shared<const PolicyRules>(std::move(rules));
        grew = true;
      }
    }
    if (!grew) break;
  }
}

void RbacAuthorizer::AddBinding(const ObjectView::Entry& entry, Grants& to) {
  const json::object& binding = *entry.object;
  const std::string_view ns = StringAt(binding, {"metadata", "namespace"});
  const std::string_view role = StringAt(binding, {"roleRef", "name"});
  Grant grant{.binding = entry.object};
  if (StringAt(binding, {"roleRef", "kind"}) == "ClusterRole") {
    const auto found = cluster_roles_.find(base::ToAbsl(role));
    if (found != cluster_roles_.end()) grant.rules = found->second.effective;
  } else {
    const auto found = roles_.find(StrCat(ns, "/", role));
    if (found != roles_.end()) grant.rules = found->second.effective;
  }
  const json::array& subjects = ArrayAt(binding, {"subjects"});
  for (grant.subject = 0; grant.subject < subjects.size(); ++grant.subject) {
    std::string key = KeyOf(subjects[grant.subject], ns);
    if (!key.empty()) to[std::move(key)].push_back(grant);
  }
}

void RbacAuthorizer::Refresh() {
  bool changed = !std::exchange(read_, true);
  for (size_t i = 0; i < std::size(kWatched); ++i) {
    const uint64_t version = view_.Version(kWatched[i]);
    changed |= std::exchange(versions_[i], version) != version;
  }
  if (!changed) return;
  ReadRoles(kRoles, roles_);
  ReadRoles(kClusterRoles, cluster_roles_);
  Aggregate();
  everywhere_.clear();
  in_namespace_.clear();
  for (const ObjectView::Entry& entry : view_.List(kClusterRoleBindings, "")) {
    AddBinding(entry, everywhere_);
  }
  for (const ObjectView::Entry& entry : view_.List(kRoleBindings, "")) {
    AddBinding(entry,
               in_namespace_[std::string(StringAt(*entry.object, {"metadata", "namespace"}))]);
  }
}

template <typename Visitor>
void RbacAuthorizer::ForEach(const User& user, std::string_view ns, Visitor&& visit) {
  Refresh();
  const Grants* local = nullptr;
  if (!ns.empty()) {
    const auto found = in_namespace_.find(base::ToAbsl(ns));
    if (found != in_namespace_.end()) local = &found->second;
  }
  std::string key;
  const auto each = [&](const Grants& grants) {
    const auto found = grants.find(key);
    if (found == grants.end()) return true;
    for (const Grant& grant : found->second) {
      if (!visit(grant)) return false;
    }
    return true;
  };
  for (const Grants* grants : {static_cast<const Grants*>(&everywhere_), local}) {
    if (grants == nullptr || grants->empty()) continue;
    key.assign("U:").append(user.name);
    if (!each(*grants)) return;
    for (const std::string& group : user.groups) {
      key.assign("G:").append(group);
      if (!each(*grants)) return;
    }
  }
}

Decision RbacAuthorizer::Decide(const Attributes& attributes, std::string* reason) {
  const std::string_view ns = attributes.is_resource ? std::string_view(attributes.ns) : "";
  const Grant* by = nullptr;
  std::set<std::string> missing;
  ForEach(attributes.user, ns, [&](const Grant& grant) {
    if (grant.rules == nullptr) {
      if (reason != nullptr) {
        const bool cluster = StringAt(*grant.binding, {"roleRef", "kind"}) == "ClusterRole";
        missing.insert(StrCat(cluster ? "clusterrole" : "role", ".rbac.authorization.k8s.io ",
                              Quoted(StringAt(*grant.binding, {"roleRef", "name"})), " not found"));
      }
      return true;
    }
    for (const PolicyRule& rule : *grant.rules) {
      if (Allows(rule, attributes)) {
        by = &grant;
        return false;
      }
    }
    return true;
  });
  if (by != nullptr) {
    if (reason != nullptr) {
      *reason = StrCat("RBAC: allowed by ", DescribeGrant(*by->binding, by->subject));
    }
    return Decision::kAllow;
  }
  if (reason != nullptr && !missing.empty()) {
    std::string all;
    for (const std::string& one : missing) all += StrCat(all.empty() ? "" : ", ", one);
    *reason = missing.size() == 1 ? StrCat("RBAC: ", all) : StrCat("RBAC: [", all, "]");
  }
  return Decision::kNoOpinion;
}

PolicyRules RbacAuthorizer::RulesOf(const User& user, std::string_view ns) {
  PolicyRules out;
  ForEach(user, ns, [&out](const Grant& grant) {
    if (grant.rules != nullptr) out.insert(out.end(), grant.rules->begin(), grant.rules->end());
    return true;
  });
  return out;
}

absl::StatusOr<PolicyRules> RbacAuthorizer::RulesOfRole(std::string_view kind, std::string_view ns,
                                                        std::string_view name) {
  Refresh();
  const bool cluster = kind == "ClusterRole";
  const auto& roles = cluster ? cluster_roles_ : roles_;
  const auto found = roles.find(cluster ? std::string(name) : StrCat(ns, "/", name));
  if (found == roles.end()) return NotFound(cluster ? kClusterRoles : kRoles, name);
  return *found->second.effective;
}

}  // namespace keel::orchestrator
