#include "orchestrator/apiserver/access/rbac.h"

#include <gtest/gtest.h>

#include <chrono>

#include "orchestrator/api/error.h"
#include "orchestrator/apiserver/access/authorizer.h"
#include "orchestrator/apiserver/access/default_roles.h"
#include "orchestrator/apiserver/access/escalation.h"
#include "orchestrator/apiserver/access/fake_view.h"
#include "orchestrator/apiserver/access/gates.h"

namespace keel::orchestrator {
namespace {

void PutDefaults(FakeView& view) {
  for (WantedObject& wanted : DefaultObjects()) view.Put(wanted.resource, wanted.object);
}

void Bind(FakeView& view, const std::string& ns, const std::string& name,
          const std::string& role_kind, const std::string& role, const std::string& subject_kind,
          const std::string& subject, const std::string& subject_ns = "") {
  json::object who{{"kind", subject_kind}, {"name", subject}};
  if (!subject_ns.empty()) who["namespace"] = subject_ns;
  json::array subjects;
  subjects.emplace_back(std::move(who));
  json::object binding{{"metadata", json::object{{"name", name}}},
                       {"roleRef", json::object{{"kind", role_kind}, {"name", role}}},
                       {"subjects", std::move(subjects)}};
  if (!ns.empty()) *Ensure(binding, {"metadata", "namespace"}) = ns;
  view.Put(std::string(ns.empty() ? kClusterRoleBindings : kRoleBindings), std::move(binding));
}

class RbacTest : public testing::Test {
 protected:
  RbacTest() {
    std::vector<std::unique_ptr<Decider>> deciders;
    auto rbac = std::make_unique<RbacAuthorizer>(view_);
    rbac_ = rbac.get();
    deciders.push_back(std::move(rbac));
    authorizer_ = std::make_unique<UnionAuthorizer>(std::move(deciders));
  }
  bool May(const Attributes& attributes) { return authorizer_->Allowed(attributes); }
  std::string Refusal(const Attributes& attributes) {
    const absl::Status status = authorizer_->Authorize(attributes);
    return status.ok() ? "allowed" : ApiErrorOf(status).message;
  }

  FakeView view_;
  RbacAuthorizer* rbac_;
  std::unique_ptr<UnionAuthorizer> authorizer_;
};

TEST_F(RbacTest, MatchesRulesByVerbGroupResourceAndName) {
  view_.Put(std::string(kClusterRoles), R"({"metadata":{"name":"r"},"rules":[
      {"verbs":["get","list"],"apiGroups":[""],"resources":["pods","pods/log"]},
      {"verbs":["update"],"apiGroups":["apps","batch"],"resources":["*/scale"]},
      {"verbs":["delete"],"apiGroups":[""],"resources":["secrets"],"resourceNames":["a","b"]},
      {"verbs":["*"],"apiGroups":["mine.io"],"resources":["*"]},
      {"verbs":["get"],"nonResourceURLs":["/healthz","/metrics/*"]}]})");
  Bind(view_, "", "b", "ClusterRole", "r", "User", "jane");
  const User jane = Someone("jane");
  struct Case {
    Attributes asked;
    bool allowed;
  };
  const Case cases[] = {
      {Ask(jane, "get", "pods", "default", "web"), true},
      {Ask(jane, "list", "pods"), true},
      {Ask(jane, "watch", "pods"), false},
      {Ask(jane, "get", "pods/log", "default", "web"), true},
      {Ask(jane, "get", "pods/exec", "default", "web"), false},
      {Ask(jane, "get", "pods", "default", "", "apps"), false},
      {Ask(jane, "update", "deployments/scale", "x", "d", "apps"), true},
      {Ask(jane, "update", "jobs/scale", "x", "j", "batch"), true},
      {Ask(jane, "update", "deployments", "x", "d", "apps"), false},
      {Ask(jane, "update", "deployments/status", "x", "d", "apps"), false},
      {Ask(jane, "update", "widgets/scale", "x", "w", "other.io"), false},
      {Ask(jane, "delete", "secrets", "x", "a"), true},
      {Ask(jane, "delete", "secrets", "x", "c"), false},
      {Ask(jane, "delete", "secrets", "x"), false},
      {Ask(jane, "patch", "anything/status", "x", "w", "mine.io"), true},
      {Ask(jane, "get", "/healthz"), true},
      {Ask(jane, "get", "/healthz/etcd"), false},
      {Ask(jane, "get", "/metrics/slis"), true},
      {Ask(jane, "post", "/healthz"), false},
      {Ask(Someone("bob"), "get", "pods"), false},
      {Ask(Someone("bob", {"jane"}), "get", "pods"), false},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(May(one.asked), one.allowed)
        << one.asked.verb << " " << one.asked.group << "/" << one.asked.resource << "/"
        << one.asked.subresource << one.asked.path << " " << one.asked.name;
  }
}

TEST_F(RbacTest, BindingsHoldWhereAndForWhomTheySay) {
  PutDefaults(view_);
  Bind(view_, "dev", "edit", "ClusterRole", "edit", "Group", "developers");
  Bind(view_, "dev", "view", "ClusterRole", "view", "ServiceAccount", "robot");
  Bind(view_, "dev", "other", "ClusterRole", "view", "ServiceAccount", "robot", "ci");
  const User dev = Someone("ann", {"developers"});
  EXPECT_TRUE(May(Ask(dev, "create", "deployments", "dev", "", "apps")));
  EXPECT_FALSE(May(Ask(dev, "create", "deployments", "prod", "", "apps")));
  EXPECT_FALSE(May(Ask(dev, "create", "deployments", "", "", "apps")));
  EXPECT_FALSE(May(Ask(dev, "create", "roles", "dev", "", "rbac.authorization.k8s.io")));
  // edit has what view has, by aggregation.
  EXPECT_TRUE(May(Ask(dev, "list", "pods", "dev")));
  EXPECT_TRUE(May(Ask(Someone("system:serviceaccount:dev:robot"), "get", "pods", "dev", "x")));
  EXPECT_TRUE(May(Ask(Someone("system:serviceaccount:ci:robot"), "get", "pods", "dev", "x")));
  EXPECT_TRUE(May(Ask(dev, "list", "pods", "dev", "", "metrics.k8s.io")));
  EXPECT_FALSE(May(Ask(dev, "list", "nodes", "", "", "metrics.k8s.io")));
  EXPECT_FALSE(May(Ask(Someone("system:serviceaccount:prod:robot"), "get", "pods", "dev", "x")));
  EXPECT_FALSE(May(Ask(Someone("system:serviceaccount:dev:robot"), "get", "secrets", "dev", "x")));
}

TEST_F(RbacTest, DefaultsAllowWhatKubernetesAllows) {
  PutDefaults(view_);
  const User nobody{.name = "system:anonymous", .groups = {"system:unauthenticated"}};
  EXPECT_TRUE(May(Ask(nobody, "get", "/healthz")));
  EXPECT_TRUE(May(Ask(nobody, "get", "/version")));
  EXPECT_FALSE(May(Ask(nobody, "get", "/api")));
  EXPECT_FALSE(May(Ask(nobody, "get", "pods", "default")));
  const User jane = Someone("jane");
  EXPECT_TRUE(May(Ask(jane, "get", "/apis/apps")));
  EXPECT_TRUE(May(Ask(jane, "create", "selfsubjectaccessreviews", "", "", "authorization.k8s.io")));
  EXPECT_FALSE(May(Ask(jane, "get", "/metrics")));
  const User scheduler = Someone("system:kube-scheduler");
  EXPECT_TRUE(May(Ask(scheduler, "create", "pods/binding", "default", "web")));
  EXPECT_TRUE(May(Ask(scheduler, "watch", "priorityclasses", "", "", "scheduling.k8s.io")));
  EXPECT_TRUE(May(
      Ask(scheduler, "update", "leases", "kube-system", "kube-scheduler", "coordination.k8s.io")));
  EXPECT_FALSE(May(Ask(scheduler, "create", "pods", "default", "web")));
  const User manager = Someone("system:kube-controller-manager");
  EXPECT_TRUE(May(Ask(manager, "create", "pods", "default")));
  EXPECT_TRUE(May(Ask(manager, "delete", "widgets", "default", "w", "example.com")));
  EXPECT_TRUE(May(Ask(manager, "update", "namespaces/finalize", "", "x")));
  EXPECT_FALSE(
      May(Ask(manager, "create", "clusterrolebindings", "", "x", "rbac.authorization.k8s.io")));
  EXPECT_TRUE(May(Ask(Someone("x", {"system:masters"}), "anything", "everything", "any")));
}

TEST_F(RbacTest, RefusalsReadAsKubernetes) {
  EXPECT_EQ(Refusal(Ask(Someone("jane"), "get", "pods", "default", "x")),
            "pods \"x\" is forbidden: User \"jane\" cannot get resource \"pods\" in API group \"\" "
            "in the namespace \"default\"");
  EXPECT_EQ(Refusal(Ask(Someone("jane"), "list", "deployments", "", "", "apps")),
            "deployments.apps is forbidden: User \"jane\" cannot list resource \"deployments\" in "
            "API group \"apps\" at the cluster scope");
  EXPECT_EQ(Refusal(Ask(Someone("jane"), "get", "pods/log", "d", "x")),
            "pods \"x\" is forbidden: User \"jane\" cannot get resource \"pods/log\" in API group "
            "\"\" in the namespace \"d\"");
  EXPECT_EQ(Refusal(Ask({.name = "system:anonymous"}, "get", "/metrics")),
            "forbidden: User \"system:anonymous\" cannot get path \"/metrics\"");
  Bind(view_, "", "dangling", "ClusterRole", "gone", "User", "jane");
  EXPECT_EQ(Refusal(Ask(Someone("jane"), "get", "nodes", "", "n")),
            "nodes \"n\" is forbidden: User \"jane\" cannot get resource \"nodes\" in API group "
            "\"\" at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not "
            "found");
  const ApiError error =
      ApiErrorOf(authorizer_->Authorize(Ask(Someone("jane"), "get", "pods", "default", "x")));
  EXPECT_EQ(error.code, 403);
  EXPECT_EQ(error.reason, "Forbidden");
  EXPECT_EQ(StringAt(error.details, {"kind"}), "pods");
  EXPECT_EQ(StringAt(error.details, {"name"}), "x");
}

TEST_F(RbacTest, ReasonsNameTheBinding) {
  PutDefaults(view_);
  Bind(view_, "dev", "b", "ClusterRole", "view", "ServiceAccount", "robot");
  std::string reason;
  authorizer_->Decide(Ask(Someone("jane"), "get", "/api"), &reason);
  EXPECT_EQ(reason,
            "RBAC: allowed by ClusterRoleBinding \"system:discovery\" of ClusterRole "
            "\"system:discovery\" to Group \"system:authenticated\"");
  authorizer_->Decide(Ask(Someone("system:serviceaccount:dev:robot"), "get", "pods", "dev", "x"),
                      &reason);
  EXPECT_EQ(reason,
            "RBAC: allowed by RoleBinding \"b/dev\" of ClusterRole \"view\" to ServiceAccount "
            "\"robot/dev\"");
}

TEST_F(RbacTest, ChangesCountAtOnce) {
  const User jane = Someone("jane");
  const Attributes asked = Ask(jane, "get", "pods", "x", "p");
  EXPECT_FALSE(May(asked));
  Bind(view_, "x", "b", "Role", "r", "User", "jane");
  EXPECT_FALSE(May(asked)) << "there is no such role";
  view_.Put(std::string(kRoles), R"({"metadata":{"name":"r","namespace":"x"},"rules":[
      {"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})");
  EXPECT_TRUE(May(asked));
  view_.Put(std::string(kRoles), R"({"metadata":{"name":"r","namespace":"x"},"rules":[
      {"verbs":["get"],"apiGroups":[""],"resources":["services"]}]})");
  EXPECT_FALSE(May(asked));
  EXPECT_TRUE(May(Ask(jane, "get", "services", "x", "s")));
  view_.Delete(std::string(kRoleBindings), "x", "b");
  EXPECT_FALSE(May(Ask(jane, "get", "services", "x", "s")));
}

TEST_F(RbacTest, AggregatedRolesHaveTheRulesOfThoseTheySelect) {
  PutDefaults(view_);
  Bind(view_, "x", "b", "ClusterRole", "admin", "User", "jane");
  const Attributes asked = Ask(Someone("jane"), "create", "widgets", "x", "", "example.com");
  EXPECT_FALSE(May(asked));
  view_.Put(std::string(kClusterRoles), R"({"metadata":{"name":"widgets","labels":{
      "rbac.authorization.k8s.io/aggregate-to-edit":"true"}},"rules":[
      {"verbs":["create"],"apiGroups":["example.com"],"resources":["widgets"]}]})");
  EXPECT_TRUE(May(asked)) << "admin selects edit, which selects widgets";
  // Two that select each other end.
  for (const char* name : {"a", "b"}) {
    view_.Put(std::string(kClusterRoles),
              base::StrCat(R"({"metadata":{"name":")", name, R"(","labels":{"circle":"yes"}},
                  "aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"circle":"yes"}}]}})"));
  }
  EXPECT_TRUE(May(asked));
}

TEST_F(RbacTest, NobodyGivesAwayWhatTheyDoNotHave) {
  PutDefaults(view_);
  Bind(view_, "x", "b", "ClusterRole", "admin", "User", "jane");
  const auto write = [&](const User& user, const std::string& resource, std::string_view text,
                         const json::object* before = nullptr) {
    json::object object = ParseJson(text)->as_object();
    AdmissionRequest request{.attributes = Ask(user, before == nullptr ? "create" : "update",
                                               resource, "x", "", "rbac.authorization.k8s.io"),
                             .object = &object,
                             .before = before};
    const absl::Status status = CheckEscalation(request, *rbac_, *authorizer_);
    return status.ok() ? std::string("ok") : ApiErrorOf(status).message;
  };
  const User jane = Someone("jane", {"dev"});
  EXPECT_EQ(write(jane, "roles", R"({"metadata":{"name":"r"},"rules":[
      {"verbs":["get","create"],"apiGroups":[""],"resources":["pods"]}]})"),
            "ok");
  const char* too_much = R"({"metadata":{"name":"r"},"rules":[
      {"verbs":["delete","get"],"apiGroups":[""],"resources":["nodes","pods"]},
      {"verbs":["use"],"apiGroups":["policy"],"resources":["psp"],"resourceNames":["p"]}]})";
  EXPECT_EQ(
      write(jane, "roles", too_much),
      "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"dev\" "
      "\"system:authenticated\"]) is attempting to grant RBAC permissions not currently "
      "held:\n"
      "{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"delete\" \"get\"]}\n"
      "{APIGroups:[\"policy\"], Resources:[\"psp\"], ResourceNames:[\"p\"], Verbs:[\"use\"]}");
  const json::object same = ParseJson(too_much)->as_object();
  EXPECT_EQ(write(jane, "roles", too_much, &same), "ok") << "the rules do not change";
  EXPECT_EQ(write(Someone("root", {"system:masters"}), "roles", too_much), "ok");
  const char* binding = R"({"metadata":{"name":"b2"},"roleRef":{"kind":"ClusterRole",
      "name":"cluster-admin"},"subjects":[{"kind":"User","name":"jane"}]})";
  EXPECT_NE(write(jane, "rolebindings", binding).find("not currently held"), std::string::npos);
  view_.Put(std::string(kRoles), R"({"metadata":{"name":"binder","namespace":"x"},"rules":[
      {"verbs":["bind"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],
       "resourceNames":["cluster-admin"]}]})");
  Bind(view_, "x", "binder", "Role", "binder", "User", "jane");
  EXPECT_EQ(write(jane, "rolebindings", binding), "ok");
}

TEST(DefaultObjectsTest, BringAClusterToWhatItNeeds) {
  FakeView view;
  const auto gates = Gates::Create({}, view);
  ASSERT_TRUE(gates.ok()) << gates.status();
  std::vector<WantedObject> wanted = (*gates)->WantedObjects();
  ASSERT_GT(wanted.size(), 80u);
  EXPECT_EQ(wanted[0].resource, "namespaces");
  for (WantedObject& one : wanted) {
    EXPECT_EQ(one.mod_revision, 0);
    EXPECT_EQ(StringAt(one.object, {"metadata", "name"}), one.name);
    view.Put(one.resource, one.object);
  }
  // The rules of aggregated roles are written down, whichever comes first.
  for (int round = 0; round < 2; ++round) {
    for (WantedObject& one : (*gates)->WantedObjects()) {
      EXPECT_NE(one.object.if_contains("aggregationRule"), nullptr) << one.name;
      EXPECT_GT(one.mod_revision, 0);
      view.Put(one.resource, one.object);
    }
  }
  EXPECT_TRUE((*gates)->WantedObjects().empty());
  const auto edit = view.Get(kClusterRoles, "", "edit");
  EXPECT_GT(ArrayAt(*edit->object, {"rules"}).size(), 10u);

  // What somebody took away comes back, what somebody added stays.
  json::object reader = *view.Get(kClusterRoles, "", "system:discovery")->object;
  reader["rules"] = ParseJson(R"([{"verbs":["get"],"nonResourceURLs":["/mine"]}])").value();
  view.Put(std::string(kClusterRoles), reader);
  wanted = (*gates)->WantedObjects();
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_EQ(ArrayAt(wanted[0].object, {"rules"}).size(), 2u);
  // Unless its owner says hands off.
  *Ensure(reader, {"metadata", "annotations", "rbac.authorization.kubernetes.io/autoupdate"}) =
      "false";
  view.Put(std::string(kClusterRoles), reader);
  EXPECT_TRUE((*gates)->WantedObjects().empty());
}

TEST_F(RbacTest, ADecisionCostsMicroseconds) {
  PutDefaults(view_);
  const Attributes asked =
      Ask(Someone("system:kube-controller-manager"), "create", "pods", "default");
  ASSERT_TRUE(May(asked));
  constexpr int kRounds = 20'000;
  const auto start = std::chrono::steady_clock::now();
  int allowed = 0;
  for (int i = 0; i < kRounds; ++i) allowed += May(asked) ? 1 : 0;
  const auto spent = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(allowed, kRounds);
  RecordProperty("nanoseconds_each",
                 static_cast<int>(std::chrono::nanoseconds(spent).count() / kRounds));
  // Bounded loosely, for slow and instrumented builds: reading roles anew would take 100 times.
  EXPECT_LT(std::chrono::nanoseconds(spent).count() / kRounds, 100'000);
}

}  // namespace
}  // namespace keel::orchestrator
