#include "orchestrator/daemon/gate.h"

#include <memory>
#include <optional>
#include <vector>

#include "base/manual_loop.h"
#include "base/tls/session.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keel::orchestrator {
namespace {

// An API server that knows one token and one user who may read metrics.
class Reviewer : public ApiClient {
 public:
  void Call(std::string_view, std::string path, std::string_view, std::string body,
            Done done) override {
    asked.push_back(body);
    if (hold) return held.push_back(std::move(done));
    if (!error.ok()) return done(error);
    json::value review = ParseJson(body).value();
    const std::string_view user = StringAt(review, {"spec", "user"});
    if (path == "/apis/authentication.k8s.io/v1/tokenreviews") {
      const bool known = StringAt(review, {"spec", "token"}) == "secret";
      json::object status{{"authenticated", known}};
      if (known) {
        status["user"] = json::object{{"username", "prometheus"},
                                      {"uid", "7"},
                                      {"groups", json::array{"system:authenticated"}}};
      }
      review.as_object()["status"] = std::move(status);
    } else if (path == "/apis/authorization.k8s.io/v1/subjectaccessreviews") {
      review.as_object()["status"] = json::object{{"allowed", user == "prometheus"}};
    } else {
      ADD_FAILURE() << path;
    }
    done(std::move(review));
  }
  void CallBytes(std::string_view, std::string, std::string_view, std::string, DoneBytes) override {
  }
  std::unique_ptr<WatchHandle> Watch(std::string, absl::AnyInvocable<void(const WatchEvent&)>,
                                     absl::AnyInvocable<void(absl::Status)>) override {
    return nullptr;
  }
  base::Loop& loop() override { return loop_; }

  absl::Status error;
  bool hold = false;
  std::vector<Done> held;
  std::vector<std::string> asked;

 private:
  base::ManualLoop loop_;
};

class GateTest : public ::testing::Test {
 protected:
  static rpc::HttpRequest Request() {
    rpc::HttpRequest request;
    request.method = "GET";
    request.path = "/metrics";
    return request;
  }
  static rpc::HttpRequest WithToken(const std::string& token) {
    rpc::HttpRequest request = Request();
    request.headers.emplace_back("authorization", "Bearer " + token);
    return request;
  }
  static rpc::HttpRequest WithCertificate(std::string name, std::vector<std::string> groups) {
    rpc::HttpRequest request = Request();
    request.certificate =
        std::make_shared<base::TlsSubject>(base::TlsSubject{std::move(name), std::move(groups)});
    return request;
  }
  // The code of the answer; 200 for who may pass, 0 while there is none.
  int Knock(const rpc::HttpRequest& request) {
    auto answer = std::make_shared<std::optional<absl::Status>>();  // some come after Knock
    gate_.Check(request, [answer](absl::Status status) { *answer = std::move(status); });
    if (!answer->has_value()) return 0;
    if ((*answer)->ok()) return 200;
    refusal_ = Gate::Refusal(**answer);
    return refusal_.status;
  }
  std::string Message() {
    return std::string(StringAt(ParseJson(refusal_.body).value(), {"message"}));
  }

  Reviewer api_;
  Gate gate_{api_};
  rpc::HttpResponse refusal_;
};

TEST_F(GateTest, AsksWhetherTheUserOfACertificateMay) {
  EXPECT_EQ(Knock(WithCertificate("prometheus", {"monitors"})), 200);
  ASSERT_EQ(api_.asked.size(), 1u);
  const json::value spec = ParseJson(api_.asked[0]).value().at("spec");
  EXPECT_EQ(spec.at("groups"), (json::array{"monitors", "system:authenticated"}));
  EXPECT_EQ(spec.at("nonResourceAttributes"),
            (json::object{{"verb", "get"}, {"path", "/metrics"}}));
  EXPECT_EQ(Knock(WithCertificate("jane", {})), 403);
  EXPECT_EQ(Message(), "forbidden: User \"jane\" cannot get path \"/metrics\"");
}

TEST_F(GateTest, AsksWhoseATokenIsFirst) {
  EXPECT_EQ(Knock(WithToken("secret")), 200);
  ASSERT_EQ(api_.asked.size(), 2u);
  EXPECT_EQ(StringAt(ParseJson(api_.asked[1]).value(), {"spec", "uid"}), "7");
  EXPECT_EQ(Knock(WithToken("guessed")), 401);
  EXPECT_EQ(api_.asked.size(), 3u);
}

TEST_F(GateTest, TakesWhoShowsNothingForAnonymous) {
  EXPECT_EQ(Knock(Request()), 403);
  EXPECT_EQ(Message(), "forbidden: User \"system:anonymous\" cannot get path \"/metrics\"");
}

TEST_F(GateTest, MastersNeedNoApiServer) {
  api_.error = absl::UnavailableError("connection refused");
  EXPECT_EQ(Knock(WithCertificate("root", {"system:masters"})), 200);
  EXPECT_EQ(Knock(WithCertificate("prometheus", {})), 500);
  EXPECT_THAT(Message(), ::testing::HasSubstr("connection refused"));
}

TEST_F(GateTest, IsOpenWhereNobodysRightsAreChecked) {
  api_.error = ApiError{.code = 501, .reason = "NotImplemented", .message = "no"}.ToStatus();
  EXPECT_EQ(Knock(Request()), 200);
  EXPECT_EQ(Knock(WithToken("any")), 200);
}

TEST_F(GateTest, KeepsFewQuestionsOpen) {
  api_.hold = true;
  for (size_t i = 0; i < Gate::kMaxOpen; ++i) EXPECT_EQ(Knock(Request()), 0);
  EXPECT_EQ(Knock(Request()), 429);
  EXPECT_EQ(api_.asked.size(), Gate::kMaxOpen);
  for (auto& done : api_.held) done(json::value(json::object{}));
  api_.hold = false;
  EXPECT_EQ(Knock(Request()), 403);
}

}  // namespace
}  // namespace keel::orchestrator
