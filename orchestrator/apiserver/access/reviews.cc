#include "orchestrator/apiserver/access/reviews.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/time.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

std::vector<std::string> Texts(const json::array& in) {
  std::vector<std::string> out;
  for (const json::value& text : in) {
    if (text.is_string()) out.emplace_back(View(text.get_string()));
  }
  return out;
}

json::array Array(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

json::object UserInfo(const User& user) {
  json::object out{{"username", user.name}};
  if (!user.uid.empty()) out["uid"] = user.uid;
  if (!user.groups.empty()) out["groups"] = Array(user.groups);
  if (!user.extra.empty()) {
    json::object extra;
    for (const auto& [key, values] : user.extra) extra[key] = Array(values);
    out["extra"] = std::move(extra);
  }
  return out;
}

// Of the spec of an access review: nullopt (with errors) when it asks for neither or both.
bool ReadAttributes(const json::object& spec, Attributes* out, FieldErrors& errors) {
  const bool resource = spec.if_contains("resourceAttributes") != nullptr;
  const bool path = spec.if_contains("nonResourceAttributes") != nullptr;
  if (resource == path) {
    errors.InvalidValue(
        "spec.resourceAttributes", resource ? spec.at("resourceAttributes") : json::value(),
        resource ? "cannot be specified in combination with resourceAttributes"
                 : "exactly one of nonResourceAttributes or resourceAttributes must be specified");
    return false;
  }
  out->is_resource = resource;
  if (path) {
    out->path = StringAt(spec, {"nonResourceAttributes", "path"});
    out->verb = StringAt(spec, {"nonResourceAttributes", "verb"});
    return true;
  }
  const auto field = [&spec](std::string_view name) {
    return std::string(StringAt(spec, {"resourceAttributes", name}));
  };
  out->verb = field("verb");
  out->group = field("group");
  out->version = field("version");
  out->resource = field("resource");
  out->subresource = field("subresource");
  out->ns = field("namespace");
  out->name = field("name");
  if (out->version.empty()) out->version = "*";
  return true;
}

json::object AccessStatus(UnionAuthorizer& authorizer, const Attributes& attributes) {
  std::string reason;
  const Decision decision = authorizer.Decide(attributes, &reason);
  json::object status{{"allowed", decision == Decision::kAllow}};
  if (decision == Decision::kDeny) status["denied"] = true;
  if (!reason.empty()) status["reason"] = reason;
  return status;
}

absl::StatusOr<json::object> AccessReview(std::string_view kind, const Attributes& asked,
                                          const json::object& request,
                                          UnionAuthorizer& authorizer) {
  const json::object& spec = ObjectAt(request, {"spec"});
  FieldErrors errors;
  Attributes attributes;
  const bool whole = ReadAttributes(spec, &attributes, errors);
  if (kind == "SelfSubjectAccessReview") {
    attributes.user = asked.user;
  } else {
    attributes.user.name = StringAt(spec, {"user"});
    attributes.user.uid = StringAt(spec, {"uid"});
    attributes.user.groups = Texts(ArrayAt(spec, {"groups"}));
    for (const auto& [key, values] : ObjectAt(spec, {"extra"})) {
      attributes.user.extra.emplace_back(
          std::string(key.data(), key.size()),
          values.is_array() ? Texts(values.get_array()) : std::vector<std::string>());
    }
    if (attributes.user.name.empty() && attributes.user.groups.empty()) {
      errors.InvalidValue("spec.user", json::string(""),
                          "at least one of user or group must be specified");
    }
  }
  if (!whole || !errors.empty()) return Invalid("authorization.k8s.io", kind, "", errors);
  if (kind == "LocalSubjectAccessReview" && attributes.ns != asked.ns) {
    return BadRequest(StrCat("spec.resourceAttributes.namespace must match namespace: ", asked.ns));
  }
  json::object out = request;
  out["status"] = AccessStatus(authorizer, attributes);
  return out;
}

absl::StatusOr<json::object> RulesReview(const Attributes& asked, const json::object& request,
                                         UnionAuthorizer& authorizer) {
  const std::string_view ns = StringAt(request, {"spec", "namespace"});
  if (ns.empty()) return BadRequest("no namespace on request");
  json::array resources, paths;
  bool incomplete = false;
  for (const auto& decider : authorizer.deciders()) {
    incomplete |= decider->RulesIncomplete(asked.user);
    for (const PolicyRule& rule : decider->RulesOf(asked.user, ns)) {
      json::object one{{"verbs", Array(rule.verbs)}};
      if (!rule.non_resource_urls.empty()) {
        one["nonResourceURLs"] = Array(rule.non_resource_urls);
        paths.emplace_back(std::move(one));
      } else {
        one["apiGroups"] = Array(rule.api_groups);
        one["resources"] = Array(rule.resources);
        if (!rule.resource_names.empty()) one["resourceNames"] = Array(rule.resource_names);
        resources.emplace_back(std::move(one));
      }
    }
  }
  json::object out = request;
  json::object status{{"resourceRules", std::move(resources)},
                      {"nonResourceRules", std::move(paths)},
                      {"incomplete", incomplete}};
  if (incomplete) {
    status["evaluationError"] = "node authorizer does not support user rule resolution";
  }
  out["status"] = std::move(status);
  return out;
}

absl::StatusOr<json::object> TokenReview(const json::object& request,
                                         UnionAuthenticator& authenticator, absl::Time now) {
  const std::string_view token = StringAt(request, {"spec", "token"});
  if (token.empty()) return BadRequest("token is required for TokenReview in authentication");
  json::object out = request;
  std::vector<std::string> matched;
  const auto user = authenticator.AuthenticateToken(
      token, Texts(ArrayAt(request, {"spec", "audiences"})), now, &matched);
  json::object status{{"authenticated", user.ok()}};
  if (user.ok()) {
    status["user"] = UserInfo(*user);
    status["audiences"] = Array(matched);
  } else {
    status["user"] = json::object();
    status["error"] = StrCat("[invalid bearer token, ", ApiErrorOf(user.status()).message, "]");
    if (ApiErrorOf(user.status()).message == "invalid bearer token") {
      status["error"] = "invalid bearer token";
    }
  }
  out["status"] = std::move(status);
  return out;
}

}  // namespace

bool IsReviewResource(std::string_view group, std::string_view resource) {
  if (group == "authentication.k8s.io") {
    return resource == "tokenreviews" || resource == "selfsubjectreviews";
  }
  return group == "authorization.k8s.io" &&
         (resource == "subjectaccessreviews" || resource == "localsubjectaccessreviews" ||
          resource == "selfsubjectaccessreviews" || resource == "selfsubjectrulesreviews");
}

absl::StatusOr<json::object> AnswerReview(const Attributes& attributes, const json::object& request,
                                          UnionAuthenticator& authenticator,
                                          UnionAuthorizer& authorizer, absl::Time now) {
  const std::string& resource = attributes.resource;
  if (resource == "tokenreviews") return TokenReview(request, authenticator, now);
  if (resource == "selfsubjectrulesreviews") return RulesReview(attributes, request, authorizer);
  if (resource == "selfsubjectreviews") {
    json::object out = request;
    *Ensure(out, {"metadata", "creationTimestamp"}) = orchestrator::FormatTime(now);
    out["status"] = json::object{{"userInfo", UserInfo(attributes.user)}};
    return out;
  }
  return AccessReview(resource == "subjectaccessreviews"        ? "SubjectAccessReview"
                      : resource == "localsubjectaccessreviews" ? "LocalSubjectAccessReview"
                                                                : "SelfSubjectAccessReview",
                      attributes, request, authorizer);
}

}  // namespace keel::orchestrator
