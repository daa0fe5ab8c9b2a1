#include "orchestrator/apiserver/access/authorizer.h"

#include <utility>

#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

std::string Quoted(std::string_view text) { return ToJson(json::value(json::string(text))); }

// `User "jane" cannot get resource "pods/log" in API group "" in the namespace "default"`
std::string Describe(const Attributes& a) {
  const std::string user = StrCat("User ", Quoted(a.user.name), " cannot ", a.verb);
  if (!a.is_resource) return StrCat(user, " path ", Quoted(a.path));
  const std::string resource =
      a.subresource.empty() ? a.resource : StrCat(a.resource, "/", a.subresource);
  return StrCat(user, " resource ", Quoted(resource), " in API group ", Quoted(a.group),
                a.ns.empty() ? std::string(" at the cluster scope")
                             : StrCat(" in the namespace ", Quoted(a.ns)));
}

}  // namespace

bool InGroup(const User& user, std::string_view group) {
  for (const std::string& one : user.groups) {
    if (one == group) return true;
  }
  return false;
}

UnionAuthorizer::UnionAuthorizer(std::vector<std::unique_ptr<Decider>> deciders)
    : deciders_(std::move(deciders)) {}

Decision UnionAuthorizer::Decide(const Attributes& attributes, std::string* reason) {
  if (InGroup(attributes.user, "system:masters")) return Decision::kAllow;
  std::string reasons;
  for (const auto& decider : deciders_) {
    std::string its;
    const Decision decision = decider->Decide(attributes, reason == nullptr ? nullptr : &its);
    if (decision != Decision::kNoOpinion) {
      if (reason != nullptr) *reason = std::move(its);
      return decision;
    }
    if (!its.empty()) reasons += StrCat(reasons.empty() ? "" : "\n", its);
  }
  if (reason != nullptr) *reason = std::move(reasons);
  return Decision::kNoOpinion;
}

absl::Status UnionAuthorizer::Authorize(const Attributes& attributes) {
  if (Decide(attributes, nullptr) == Decision::kAllow) return absl::OkStatus();
  std::string reason;
  Decide(attributes, &reason);
  const std::string message = StrCat(Describe(attributes), reason.empty() ? "" : ": ", reason);
  if (!attributes.is_resource) {
    return ApiError{.code = 403, .reason = "Forbidden", .message = StrCat("forbidden: ", message)}
        .ToStatus();
  }
  return Forbidden(attributes.group.empty() ? attributes.resource
                                            : StrCat(attributes.resource, ".", attributes.group),
                   attributes.name, message);
}

Decision FixedDecider::Decide(const Attributes&, std::string* reason) {
  if (allow_) return Decision::kAllow;
  if (reason != nullptr) *reason = "Everything is forbidden.";
  return Decision::kNoOpinion;
}

PolicyRules FixedDecider::RulesOf(const User&, std::string_view) {
  if (!allow_) return {};
  return {{.verbs = {"*"}, .api_groups = {"*"}, .resources = {"*"}},
          {.verbs = {"*"}, .non_resource_urls = {"*"}}};
}

}  // namespace keel::orchestrator
