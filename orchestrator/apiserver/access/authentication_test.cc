#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "base/file.h"
#include "base/pki/certificate.h"
#include "base/strings.h"
#include "base/temp_dir.h"
#include "orchestrator/api/error.h"
#include "orchestrator/apiserver/access/authenticators.h"
#include "orchestrator/apiserver/access/default_roles.h"
#include "orchestrator/apiserver/access/fake_view.h"
#include "orchestrator/apiserver/access/gates.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

std::string Base64(std::string_view text) {
  std::string out;
  absl::WebSafeBase64Escape(base::ToAbsl(text), &out);
  while (out.ends_with('=')) out.pop_back();
  return out;
}

json::object Object(std::string_view text) { return ParseJson(text)->as_object(); }

class AuthenticationTest : public testing::Test {
 protected:
  AuthenticationTest() {
    options_.service_account_signing_key_file = Write("sa.key", base::NewEcKeyPem());
    options_.token_auth_file = Write("tokens.csv",
                                     "secret-1,jane,u1,\"dev,ops\"\n"
                                     "\n# a comment\n"
                                     "\"with \"\"quotes\"\"\",bob,u2\n");
    for (WantedObject& wanted : DefaultObjects()) view_.Put(wanted.resource, wanted.object);
    view_.Put("serviceaccounts",
              R"({"metadata":{"name":"web","namespace":"default","uid":"sa1"}})");
    view_.Put("pods", R"({"metadata":{"name":"web-1","namespace":"default","uid":"pod1"},
                          "spec":{"serviceAccountName":"web","nodeName":"n1"}})");
    view_.Put("nodes", R"({"metadata":{"name":"n1","uid":"node1"}})");
    Open();
  }
  std::string Write(const std::string& name, const std::string& text) {
    EXPECT_TRUE(base::WriteWithMode(dir_ / name, text, 0600).ok());
    return dir_ / name;
  }
  void Open() {
    auto gates = Gates::Create(options_, view_);
    ASSERT_TRUE(gates.ok()) << gates.status();
    gates_ = *std::move(gates);
  }
  absl::StatusOr<User> Who(const std::string& token, absl::Duration later = absl::ZeroDuration()) {
    return gates_->authenticator().Authenticate({}, StrCat("Bearer ", token), kNow + later);
  }
  absl::StatusOr<json::object> Request(std::string_view text, std::string account = "web") {
    return gates_->RequestToken(
        Ask(Someone("root"), "create", "serviceaccounts/token", "default", std::move(account)),
        Object(text), kNow);
  }
  std::string Token(std::string_view request = "{}") {
    const auto answer = Request(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return std::string(StringAt(*answer, {"status", "token"}));
  }

  base::TempDir dir_;
  AccessOptions options_;
  FakeView view_;
  std::unique_ptr<Gates> gates_;
};

TEST_F(AuthenticationTest, CertificatesNameUsersAndGroups) {
  const auto user = gates_->authenticator().Authenticate(
      PeerCertificate{"jane", {"dev", "system:masters"}}, "", kNow);
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->name, "jane");
  EXPECT_EQ(user->groups,
            (std::vector<std::string>{"dev", "system:masters", "system:authenticated"}));
}

TEST_F(AuthenticationTest, NobodyIsAnonymousUnlessThatIsOff) {
  auto user = gates_->authenticator().Authenticate({}, "", kNow);
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->name, "system:anonymous");
  EXPECT_EQ(user->groups, std::vector<std::string>{"system:unauthenticated"});
  EXPECT_EQ(gates_->authenticator().Authenticate({}, "Basic amFuZTpwdw==", kNow)->name,
            "system:anonymous");
  options_.anonymous_auth = false;
  Open();
  EXPECT_EQ(ApiErrorOf(gates_->authenticator().Authenticate({}, "", kNow).status()).code, 401);
}

TEST_F(AuthenticationTest, StaticTokensAreReadFromTheFile) {
  const auto jane = Who("secret-1");
  ASSERT_TRUE(jane.ok());
  EXPECT_EQ(jane->name, "jane");
  EXPECT_EQ(jane->uid, "u1");
  EXPECT_EQ(jane->groups, (std::vector<std::string>{"dev", "ops", "system:authenticated"}));
  EXPECT_EQ(Who("with \"quotes\"")->name, "bob");
  EXPECT_EQ(ApiErrorOf(Who("secret-2").status()).code, 401);
  EXPECT_EQ(ApiErrorOf(Who("secret-2").status()).message, "Unauthorized");
  const auto bad = ParseTokenFile("a,b,c\nsecret-1,jane\n").status();
  EXPECT_EQ(bad.message().find("secret"), absl::string_view::npos) << bad;
  EXPECT_NE(bad.message().find("line 2"), absl::string_view::npos) << bad;
  EXPECT_FALSE(ParseTokenFile("\"a,b,c\n").ok());
  EXPECT_FALSE(ParseTokenFile(",b,c\n").ok());
}

TEST_F(AuthenticationTest, TokensOfServiceAccountsAreTheirs) {
  const auto answer = Request(
      R"({"spec":{"expirationSeconds":600,"audiences":["vault","https://kubernetes.default.svc"],
      "boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"web-1","uid":"pod1"}}})");
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(StringAt(*answer, {"kind"}), "TokenRequest");
  EXPECT_EQ(StringAt(*answer, {"status", "expirationTimestamp"}), "2023-11-14T22:23:20Z");
  const std::string token(StringAt(*answer, {"status", "token"}));
  const auto user = Who(token);
  ASSERT_TRUE(user.ok()) << user.status();
  EXPECT_EQ(user->name, "system:serviceaccount:default:web");
  EXPECT_EQ(user->uid, "sa1");
  EXPECT_EQ(user->groups,
            (std::vector<std::string>{"system:serviceaccounts", "system:serviceaccounts:default",
                                      "system:authenticated"}));
  std::map<std::string, std::vector<std::string>> extra(user->extra.begin(), user->extra.end());
  EXPECT_EQ(extra["authentication.kubernetes.io/pod-name"], std::vector<std::string>{"web-1"});
  EXPECT_EQ(extra["authentication.kubernetes.io/node-uid"], std::vector<std::string>{"node1"});
  EXPECT_TRUE(extra.contains("authentication.kubernetes.io/credential-id"));

  const auto parts = base::SplitJwt(token);
  const json::value claims = ParseJson(parts->claims).value();
  EXPECT_EQ(StringAt(claims, {"iss"}), "https://kubernetes.default.svc");
  EXPECT_EQ(StringAt(claims, {"sub"}), "system:serviceaccount:default:web");
  EXPECT_EQ(ToJson(claims.at("kubernetes.io")),
            R"({"namespace":"default","node":{"name":"n1","uid":"node1"},)"
            R"("pod":{"name":"web-1","uid":"pod1"},"serviceaccount":{"name":"web","uid":"sa1"}})");
  EXPECT_EQ(IntAt(claims, {"exp"}), 1'700'000'600);

  EXPECT_TRUE(Who(token, absl::Seconds(599)).ok());
  EXPECT_EQ(ApiErrorOf(Who(token, absl::Seconds(600)).status()).code, 401);
}

TEST_F(AuthenticationTest, TokensDieWithWhatTheyAreBoundTo) {
  const std::string plain = Token();
  const std::string bound =
      Token(R"({"spec":{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"web-1"}}})");
  EXPECT_TRUE(Who(plain).ok());
  EXPECT_TRUE(Who(bound).ok());
  // A pod that is being deleted keeps its token for a minute past its time.
  view_.Put("pods", R"({"metadata":{"name":"web-1","namespace":"default","uid":"pod1",
                        "deletionTimestamp":"2023-11-14T22:13:20Z"}})");
  EXPECT_TRUE(Who(bound, absl::Seconds(59)).ok());
  EXPECT_FALSE(Who(bound, absl::Seconds(61)).ok());
  view_.Put("pods", R"({"metadata":{"name":"web-1","namespace":"default","uid":"pod2"}})");
  EXPECT_FALSE(Who(bound).ok()) << "another pod of that name";
  EXPECT_TRUE(Who(plain).ok());
  view_.Put("serviceaccounts", R"({"metadata":{"name":"web","namespace":"default","uid":"sa2"}})");
  EXPECT_FALSE(Who(plain).ok()) << "the account was made anew";
  view_.Delete("serviceaccounts", "default", "web");
  EXPECT_FALSE(Who(plain).ok());
}

TEST_F(AuthenticationTest, WhatWasTamperedWithIsNobodys) {
  const std::string token = Token();
  ASSERT_TRUE(Who(token).ok());
  for (size_t at = 0; at < token.size(); at += 7) {
    if (token[at] == '.') continue;
    std::string altered = token;
    // The last character of a part may hold bits that do not count.
    altered[at] = altered[at] == 'A' ? 'Q' : 'A';
    if (at + 1 == token.size()) continue;
    EXPECT_FALSE(Who(altered).ok()) << at;
  }
  const auto parts = base::SplitJwt(token);
  const std::string signature = token.substr(token.rfind('.'));
  std::string other = parts->claims;
  other.replace(other.find("default:web"), 11, "default:boss");
  EXPECT_FALSE(Who(StrCat(Base64(parts->header), ".", Base64(other), signature)).ok());
  EXPECT_FALSE(Who(StrCat(Base64(R"({"alg":"none"})"), ".", Base64(parts->claims), ".")).ok());
  EXPECT_FALSE(
      Who(StrCat(Base64(R"({"alg":"HS256"})"), ".", Base64(parts->claims), signature)).ok());
  EXPECT_FALSE(Who("a.b.c").ok());
  EXPECT_FALSE(Who(std::string(100'000, '.')).ok());

  // Signed by another key, by another issuer, for somebody else.
  options_.service_account_signing_key_file = Write("other.key", base::NewEcKeyPem());
  Open();
  EXPECT_FALSE(Who(token).ok());
  options_.service_account_key_files = {dir_ / "sa.key"};
  Open();
  EXPECT_TRUE(Who(token).ok()) << "an old key still counts";
  options_.service_account_issuer = "https://elsewhere";
  options_.api_audiences = {"https://kubernetes.default.svc"};
  Open();
  EXPECT_FALSE(Who(token).ok());
  EXPECT_FALSE(Who(Token(R"({"spec":{"audiences":["vault"]}})")).ok());
}

TEST_F(AuthenticationTest, RsaKeysServeToo) {
  options_.service_account_signing_key_file = Write("rsa.key", base::NewRsaKeyPem());
  Open();
  EXPECT_TRUE(Who(Token()).ok());
  const json::object keys = gates_->JsonWebKeys();
  ASSERT_EQ(ArrayAt(keys, {"keys"}).size(), 1u);
  const json::value& key = ArrayAt(keys, {"keys"})[0];
  EXPECT_EQ(StringAt(key, {"kty"}), "RSA");
  EXPECT_EQ(StringAt(key, {"e"}), "AQAB");
  EXPECT_EQ(StringAt(key, {"n"}).size(), 342u);
  EXPECT_EQ(ToJson(*Find(gates_->OpenIdConfiguration(), {"id_token_signing_alg_values_supported"})),
            R"(["RS256"])");
}

TEST_F(AuthenticationTest, RequestsAreChecked) {
  const auto message = [&](std::string_view request, std::string account = "web") {
    const auto answer = Request(request, std::move(account));
    return answer.ok() ? "ok" : ApiErrorOf(answer.status()).message;
  };
  EXPECT_EQ(message("{}", "nobody"), "serviceaccounts \"nobody\" not found");
  EXPECT_NE(message(R"({"spec":{"expirationSeconds":60}})")
                .find("spec.expirationSeconds: Invalid value: 60: may not specify a duration less "
                      "than 10 minutes"),
            std::string::npos);
  EXPECT_EQ(message(R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"web-2"}}})"),
            "pods \"web-2\" not found");
  EXPECT_NE(message(R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"web-1","uid":"other"}}})")
                .find("does not match the UID in record"),
            std::string::npos);
  view_.Put("serviceaccounts", R"({"metadata":{"name":"db","namespace":"default"}})");
  EXPECT_NE(message(R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"web-1"}}})", "db")
                .find("different serviceaccount name"),
            std::string::npos);
  options_.service_account_max_token_expiration = absl::Hours(1);
  Open();
  const auto capped = Request(R"({"spec":{"expirationSeconds":86400}})");
  EXPECT_EQ(IntAt(*capped, {"spec", "expirationSeconds"}), 3600);
}

TEST_F(AuthenticationTest, ImpersonationTakesRights) {
  using Headers = std::vector<std::pair<std::string, std::string>>;
  const User root = Someone("root", {"system:masters"});
  EXPECT_EQ(gates_->Impersonate(root, {{"accept", "x"}})->name, "root");
  auto as = gates_->Impersonate(root, Headers{{"impersonate-user", "jane"},
                                              {"impersonate-group", "dev"},
                                              {"impersonate-group", "ops"},
                                              {"impersonate-extra-example.com%2fscope", "a"}});
  ASSERT_TRUE(as.ok()) << as.status();
  EXPECT_EQ(as->name, "jane");
  EXPECT_EQ(as->groups, (std::vector<std::string>{"dev", "ops", "system:authenticated"}));
  EXPECT_EQ(as->extra[0].first, "example.com/scope");
  as = gates_->Impersonate(root, {{"impersonate-user", "system:serviceaccount:default:web"}});
  EXPECT_EQ(as->groups[1], "system:serviceaccounts:default");
  as = gates_->Impersonate(root, {{"impersonate-user", "system:anonymous"}});
  EXPECT_EQ(as->groups, std::vector<std::string>{"system:unauthenticated"});
  EXPECT_EQ(ApiErrorOf(gates_->Impersonate(Someone("bob"), {{"impersonate-user", "jane"}}).status())
                .message,
            "users \"jane\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in "
            "API group \"\" at the cluster scope");
  EXPECT_EQ(ApiErrorOf(gates_->Impersonate(root, {{"impersonate-group", "dev"}}).status()).code,
            400);
}

TEST_F(AuthenticationTest, ReviewsAnswer) {
  const auto review = [&](const User& user, const std::string& resource, const std::string& group,
                          std::string_view request, std::string ns = "") {
    const auto answer = gates_->Review(Ask(user, "create", resource, std::move(ns), "", group),
                                       Object(request), kNow);
    return answer.ok() ? ToJson(answer->at("status")) : ApiErrorOf(answer.status()).message;
  };
  const std::string authorization = "authorization.k8s.io",
                    authentication = "authentication.k8s.io";
  EXPECT_TRUE(Gates::IsReview(authorization, "selfsubjectaccessreviews"));
  EXPECT_FALSE(Gates::IsReview("", "tokenreviews"));
  const char* pods =
      R"({"spec":{"resourceAttributes":{"verb":"get","resource":"pods","namespace":"x"}}})";
  EXPECT_EQ(review(Someone("jane"), "selfsubjectaccessreviews", authorization, pods),
            R"({"allowed":false})");
  EXPECT_EQ(
      review(Someone("root", {"system:masters"}), "selfsubjectaccessreviews", authorization, pods),
      R"({"allowed":true})");
  EXPECT_EQ(
      review(Someone("root"), "subjectaccessreviews", authorization,
             R"({"spec":{"user":"a","groups":["system:authenticated"],
                 "nonResourceAttributes":{"verb":"get","path":"/api"}}})"),
      R"({"allowed":true,"reason":"RBAC: allowed by ClusterRoleBinding \"system:discovery\" of )"
      R"(ClusterRole \"system:discovery\" to Group \"system:authenticated\""})");
  EXPECT_NE(review(Someone("root"), "subjectaccessreviews", authorization, pods)
                .find("at least one of user or group must be specified"),
            std::string::npos);
  EXPECT_NE(review(Someone("jane"), "selfsubjectaccessreviews", authorization, R"({"spec":{}})")
                .find("exactly one of nonResourceAttributes or resourceAttributes"),
            std::string::npos);
  EXPECT_NE(review(Someone("jane"), "selfsubjectrulesreviews", authorization,
                   R"({"spec":{"namespace":"x"}})")
                .find(R"({"verbs":["create"],"apiGroups":["authorization.k8s.io"],)"
                      R"("resources":["selfsubjectaccessreviews","selfsubjectrulesreviews"]})"),
            std::string::npos);
  EXPECT_EQ(review(Someone("jane", {"dev"}), "selfsubjectreviews", authentication, "{}"),
            R"({"userInfo":{"username":"jane","groups":["dev","system:authenticated"]}})");
  EXPECT_EQ(
      review(Someone("root"), "tokenreviews", authentication, R"({"spec":{"token":"secret-1"}})"),
      R"({"authenticated":true,"user":{"username":"jane","uid":"u1","groups":["dev","ops",)"
      R"("system:authenticated"]},"audiences":["https://kubernetes.default.svc"]})");
  EXPECT_NE(review(Someone("root"), "tokenreviews", authentication, R"({"spec":{"token":"wrong"}})")
                .find(R"("authenticated":false)"),
            std::string::npos);
}

TEST_F(AuthenticationTest, NodesHaveOnlyWhatTheirPodsUse) {
  view_.Put("pods", R"({"metadata":{"name":"p","namespace":"x"},"spec":{"nodeName":"n1",
      "serviceAccountName":"web","volumes":[{"secret":{"secretName":"s1"}}],
      "containers":[{"env":[{"valueFrom":{"configMapKeyRef":{"name":"c1","key":"k"}}}]}]}})");
  view_.Put("pods", R"({"metadata":{"name":"q","namespace":"x"},"spec":{"nodeName":"n2",
      "volumes":[{"secret":{"secretName":"s2"}}]}})");
  const User node = Someone("system:node:n1", {"system:nodes"});
  const auto may = [&](const Attributes& a) { return gates_->authorizer().Authorize(a).ok(); };
  EXPECT_TRUE(may(Ask(node, "get", "secrets", "x", "s1")));
  EXPECT_FALSE(may(Ask(node, "get", "secrets", "x", "s2")));
  EXPECT_FALSE(may(Ask(node, "list", "secrets", "x")));
  EXPECT_TRUE(may(Ask(node, "get", "configmaps", "x", "c1")));
  EXPECT_TRUE(may(Ask(node, "create", "serviceaccounts/token", "x", "web")));
  EXPECT_FALSE(may(Ask(node, "create", "serviceaccounts/token", "x", "other")));
  EXPECT_TRUE(may(Ask(node, "patch", "pods/status", "x", "p")));
  EXPECT_TRUE(may(Ask(node, "update", "leases", "kube-node-lease", "n1", "coordination.k8s.io")));
  EXPECT_FALSE(may(Ask(node, "create", "deployments", "x", "", "apps")));
  EXPECT_FALSE(may(Ask(Someone("system:node:n1"), "list", "pods"))) << "not in system:nodes";
}

TEST(GatesTest, OptionsThatAreWrongAreNamed) {
  FakeView view;
  const auto error = [&](AccessOptions options) {
    return std::string(base::ToStd(Gates::Create(options, view).status().message()));
  };
  EXPECT_NE(error({.token_auth_file = "/no/such/file"}).find("/no/such/file"), std::string::npos);
  EXPECT_NE(error({.authorization_modes = {"Magic"}}).find("Magic"), std::string::npos);
  EXPECT_NE(error({.disable_admission_plugins = {"Nope"}}).find("Nope"), std::string::npos);
  const base::TempDir dir;
  ASSERT_TRUE(base::WriteWithMode(dir / "k", "junk", 0600).ok());
  EXPECT_NE(error({.service_account_signing_key_file = dir / "k"}).find(dir / "k"),
            std::string::npos);
  EXPECT_NE(error({.encryption_provider_config = dir / "k"}).find(dir / "k"), std::string::npos);
}

}  // namespace
}  // namespace keel::orchestrator
