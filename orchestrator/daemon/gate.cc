#include "orchestrator/daemon/gate.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "base/strings.h"
#include "base/tls/session.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

json::object UserOf(const base::TlsSubject& subject) {
  json::array groups(subject.organizations.begin(), subject.organizations.end());
  groups.emplace_back("system:authenticated");
  return json::object{{"username", subject.common_name}, {"groups", std::move(groups)}};
}

json::object Anonymous() {
  return json::object{{"username", "system:anonymous"},
                      {"groups", json::array{"system:unauthenticated"}}};
}

std::string_view BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (!absl::StartsWithIgnoreCase(base::ToAbsl(authorization), base::ToAbsl(kScheme))) return {};
  return base::ToStd(
      absl::StripAsciiWhitespace(base::ToAbsl(authorization.substr(kScheme.size()))));
}

bool IsMaster(const json::object& user) {
  const json::array& groups = ArrayAt(user, {"groups"});
  return std::any_of(groups.begin(), groups.end(),
                     [](const json::value& group) { return group == "system:masters"; });
}

// As in Kubernetes.
std::string VerbOf(std::string_view method) {
  if (method == "GET" || method == "HEAD") return "get";
  if (method == "POST") return "create";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  return method == "DELETE" ? "delete" : "";
}

// What it means for the one who asked that no answer came.
absl::Status Failure(const absl::Status& status) {
  // Said by an API server that checks nobody's rights.
  if (IsReason(status, "NotImplemented")) return absl::OkStatus();
  if (IsReason(status, "TooManyRequests")) return status;
  return Internal(StrCat("the API server was asked in vain: ", base::ToStd(status.message())));
}

}  // namespace

void Gate::Check(const rpc::HttpRequest& request, Done done) {
  std::string verb = VerbOf(request.method);
  if (request.certificate != nullptr && !request.certificate->common_name.empty()) {
    return Authorize(UserOf(*request.certificate), std::move(verb), request.path, std::move(done));
  }
  const std::string_view token = BearerToken(request.Header("authorization"));
  if (token.empty()) {
    return Authorize(Anonymous(), std::move(verb), request.path, std::move(done));
  }
  Ask({"authentication.k8s.io", "v1", "tokenreviews"}, {{"token", token}},
      [this, verb = std::move(verb), path = request.path,
       done = std::move(done)](absl::StatusOr<json::value> review) mutable {
        if (!review.ok()) return done(Failure(review.status()));
        if (!BoolAt(*review, {"status", "authenticated"})) return done(Unauthorized());
        Authorize(ObjectAt(*review, {"status", "user"}), std::move(verb), std::move(path),
                  std::move(done));
      });
}

void Gate::Authorize(const json::object& user, std::string verb, std::string path, Done done) {
  if (IsMaster(user)) return done(absl::OkStatus());
  const std::string refusal =
      StrCat("forbidden: User ", ToJson(json::string(StringAt(user, {"username"}))), " cannot ",
             verb, " path ", ToJson(json::string(path)));
  json::object spec{{"user", StringAt(user, {"username"})},
                    {"nonResourceAttributes", {{"verb", verb}, {"path", path}}}};
  for (const char* field : {"groups", "uid", "extra"}) {
    if (const json::value* value = Find(user, {field})) spec[field] = *value;
  }
  Ask({"authorization.k8s.io", "v1", "subjectaccessreviews"}, std::move(spec),
      [refusal, done = std::move(done)](absl::StatusOr<json::value> review) mutable {
        if (!review.ok()) return done(Failure(review.status()));
        if (BoolAt(*review, {"status", "allowed"})) return done(absl::OkStatus());
        done(ApiError{.code = 403, .reason = "Forbidden", .message = refusal}.ToStatus());
      });
}

void Gate::Ask(const Resource& review, json::object spec, ApiClient::Done done) {
  if (open_ >= kMaxOpen) return done(TooManyRequests("too many questions are open"));
  ++open_;
  const json::object question{
      {"apiVersion", review.api_version()},
      {"kind", review.plural == "tokenreviews" ? "TokenReview" : "SubjectAccessReview"},
      {"spec", std::move(spec)}};
  client_.Create(review, "", question,
                 [this, done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
                   --open_;
                   done(std::move(answer));
                 });
}

rpc::HttpResponse Gate::Refusal(const absl::Status& status) {
  const ApiError error = ApiErrorOf(status);
  return {.status = error.code,
          .content_type = "application/json",
          .headers = {},
          .body = ToJson(error.ToJson())};
}

}  // namespace keel::orchestrator
