// Role-based access control: roles and bindings of the view, compiled so that a decision costs a
// few look-ups.
//
//   RbacAuthorizer rbac(view);
//   if (const Decision d = rbac.Decide(attributes); d == Decision::kAllow) ...
//
// The rules that a user holds in a namespace are those of the cluster role bindings and of that
// namespace's role bindings that name the user or one of the groups. They are compiled anew when
// the version of one of the four kinds grows; a role or binding that did not change is not read
// again. A cluster role with an aggregationRule has the rules of the roles that it selects.
//
// On the API server's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/access/decider.h"
#include "orchestrator/apiserver/access/rules.h"

namespace keel::orchestrator {

inline constexpr std::string_view kRoles = "roles.rbac.authorization.k8s.io";
inline constexpr std::string_view kRoleBindings = "rolebindings.rbac.authorization.k8s.io";
inline constexpr std::string_view kClusterRoles = "clusterroles.rbac.authorization.k8s.io";
inline constexpr std::string_view kClusterRoleBindings =
    "clusterrolebindings.rbac.authorization.k8s.io";

class RbacAuthorizer final : public Decider {
 public:
  explicit RbacAuthorizer(ObjectView& view) : view_(view) {}

  // The reasons are asked for by access reviews and refusals only.
  Decision Decide(const Attributes& attributes, std::string* reason) override;
  // All rules that the user holds in the namespace (cluster-wide ones included).
  PolicyRules RulesOf(const User& user, std::string_view ns) override;

  // The rules of the role that a binding's roleRef names. NotFound.
  absl::StatusOr<PolicyRules> RulesOfRole(std::string_view kind, std::string_view ns,
                                          std::string_view name);

 private:
  struct Role {
    int64_t mod_revision = 0;
    std::shared_ptr<const PolicyRules> own{};        // of the object
    std::shared_ptr<const PolicyRules> effective{};  // the selected ones', when it aggregates
    std::shared_ptr<const json::object> object{};
  };
  // One subject of one binding.
  struct Grant {
    std::shared_ptr<const PolicyRules> rules{};  // null: there is no such role
    std::shared_ptr<const json::object> binding{};
    size_t subject = 0;  // of the binding
  };
  using Grants = absl::flat_hash_map<std::string, std::vector<Grant>>;  // by "U:name", "G:name"

  // Calls for each grant of the user until it returns false.
  template <typename Visitor>
  void ForEach(const User& user, std::string_view ns, Visitor&& visit);
  void Refresh();
  void ReadRoles(std::string_view resource, absl::flat_hash_map<std::string, Role>& roles);
  void Aggregate();
  void AddBinding(const ObjectView::Entry& binding, Grants& to);

  ObjectView& view_;
  uint64_t versions_[4] = {};
  bool read_ = false;
  absl::flat_hash_map<std::string, Role> cluster_roles_;  // by name
  absl::flat_hash_map<std::string, Role> roles_;          // by namespace/name
  Grants everywhere_;
  absl::flat_hash_map<std::string, Grants> in_namespace_;
};

}  // namespace keel::orchestrator
