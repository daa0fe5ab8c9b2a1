#include "orchestrator/apiserver/access/escalation.h"

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";

std::string Quoted(std::string_view text) { return ToJson(json::value(json::string(text))); }

bool Same(const json::object& a, const json::object* b, std::string_view field) {
  if (b == nullptr) return false;
  const json::value *x = a.if_contains(field), *y = b->if_contains(field);
  return x == nullptr || y == nullptr ? x == y : *x == *y;
}

bool May(const Attributes& by, std::string_view verb, std::string_view resource,
         std::string_view name, UnionAuthorizer& authorizer) {
  return authorizer.Allowed({.user = by.user,
                             .verb = std::string(verb),
                             .group = std::string(kGroup),
                             .version = "*",
                             .resource = std::string(resource),
                             .ns = by.ns,
                             .name = std::string(name)});
}

absl::Status CheckHeld(const Attributes& by, const PolicyRules& rules, RbacAuthorizer& rbac) {
  const std::vector<std::string> missing = MissingRules(rbac.RulesOf(by.user, by.ns), rules);
  if (missing.empty()) return absl::OkStatus();
  std::string list;
  for (const std::string& one : missing) list += StrCat(list.empty() ? "" : "\n", one);
  return Forbidden(StrCat(by.resource, ".", kGroup), by.name,
                   StrCat("user ", Quoted(by.user.name), " (groups=", QuotedList(by.user.groups),
                          ") is attempting to grant RBAC permissions not currently held:\n", list));
}

}  // namespace

absl::Status CheckEscalation(const AdmissionRequest& request, RbacAuthorizer& rbac,
                             UnionAuthorizer& authorizer) {
  Attributes by = request.attributes;
  if (by.group != kGroup || request.object == nullptr || !by.subresource.empty()) {
    return absl::OkStatus();
  }
  const json::object& object = *request.object;
  by.name = StringAt(object, {"metadata", "name"});
  const bool role = by.resource == "roles" || by.resource == "clusterroles";
  if (role) {
    const bool same_aggregation = Same(object, request.before, "aggregationRule");
    if (Same(object, request.before, "rules") && same_aggregation) return absl::OkStatus();
    if (May(by, "escalate", by.resource, by.name, authorizer)) return absl::OkStatus();
    KEEL_RETURN_IF_ERROR(CheckHeld(by, ParseRules(ArrayAt(object, {"rules"})), rbac));
    if (object.if_contains("aggregationRule") != nullptr && !same_aggregation &&
        !CheckHeld(by,
                   {{.verbs = {"*"}, .api_groups = {"*"}, .resources = {"*"}},
                    {.verbs = {"*"}, .non_resource_urls = {"*"}}},
                   rbac)
             .ok()) {
      return Forbidden(StrCat(by.resource, ".", kGroup), by.name,
                       "must have cluster-admin privileges to use the aggregationRule");
    }
    return absl::OkStatus();
  }
  if (by.resource != "rolebindings" && by.resource != "clusterrolebindings") {
    return absl::OkStatus();
  }
  if (Same(object, request.before, "subjects") && Same(object, request.before, "roleRef")) {
    return absl::OkStatus();
  }
  const std::string_view kind = StringAt(object, {"roleRef", "kind"});
  const std::string_view name = StringAt(object, {"roleRef", "name"});
  if (May(by, "bind", kind == "ClusterRole" ? "clusterroles" : "roles", name, authorizer)) {
    return absl::OkStatus();
  }
  KEEL_ASSIGN_OR_RETURN(const PolicyRules rules, rbac.RulesOfRole(kind, by.ns, name));
  return CheckHeld(by, rules, rbac);
}

}  // namespace keel::orchestrator
