#include <gtest/gtest.h>

#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/apiserver/access/default_roles.h"
#include "orchestrator/apiserver/access/fake_view.h"
#include "orchestrator/apiserver/access/gates.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

json::object Object(std::string_view text) { return ParseJson(text)->as_object(); }

class NodeRestrictionTest : public testing::Test {
 protected:
  NodeRestrictionTest() : gates_(Gates::Create({}, view_).value()) {
    for (const char* ns : {"x", "kube-node-lease"}) {
      view_.Put("namespaces", StrCat(R"({"metadata":{"name":")", ns, R"("}})"));
    }
    view_.Put("nodes", R"({"metadata":{"name":"n1","uid":"u1"}})");
    view_.Put("serviceaccounts", R"({"metadata":{"name":"default","namespace":"x"}})");
  }

  // What is refused, without the name of the object; empty: admitted.
  std::string Try(const std::string& verb, const std::string& resource, std::string name,
                  std::string_view object, std::string_view before = "",
                  const std::string& group = "", const std::string& user = "system:node:n1") {
    json::object now = object.empty() ? json::object() : Object(object);
    const json::object old = before.empty() ? json::object() : Object(before);
    auto kind = std::make_shared<Kind>();
    AdmissionRequest request{.attributes = Ask(Someone(user, {"system:nodes"}), verb, resource,
                                               resource.starts_with("nodes") ? ""
                                               : group.empty()               ? "x"
                                                                             : "kube-node-lease",
                                               std::move(name), group),
                             .kind = kind,
                             .object = object.empty() ? nullptr : &now,
                             .before = before.empty() ? nullptr : &old};
    absl::Status status = absl::OkStatus();
    if (verb != "delete" && request.attributes.subresource != "token") {
      status = gates_->admission().Mutate(request);
    }
    if (status.ok()) status = gates_->admission().Validate(request);
    if (status.ok()) return "";
    const std::string message = ApiErrorOf(status).message;
    const size_t at = message.find(" is forbidden: ");
    return at == std::string::npos ? message : message.substr(at + 15);
  }

  FakeView view_;
  std::unique_ptr<Gates> gates_;
};

constexpr char kMine[] = R"({"metadata":{"name":"p","labels":{"a":"b"}},"spec":{"nodeName":"n1"}})";
constexpr char kOther[] = R"({"metadata":{"name":"p"},"spec":{"nodeName":"n2"}})";

TEST_F(NodeRestrictionTest, PodsMustBeBoundToIt) {
  EXPECT_EQ(Try("update", "pods/status", "p", kMine, kMine), "");
  EXPECT_EQ(Try("update", "pods/status", "p", kOther, kOther),
            R"(node "n1" can only update pod status for pods with spec.nodeName set to itself)");
  EXPECT_EQ(Try("update", "pods/status", "p",
                R"({"metadata":{"name":"p"},"spec":{"nodeName":"n1"}})", kMine),
            R"(node "n1" cannot update labels through pod status)");
  EXPECT_EQ(Try("delete", "pods", "p", "", kMine), "");
  EXPECT_EQ(Try("delete", "pods", "p", "", kOther),
            R"(node "n1" can only delete pods with spec.nodeName set to itself)");
  EXPECT_EQ(Try("create", "pods/eviction", "p", "", kMine), "");
  EXPECT_EQ(Try("create", "pods/eviction", "p", "", kOther),
            "node n1 can only evict pods with spec.nodeName set to itself");
  EXPECT_EQ(Try("update", "pods", "p", kMine, kMine),
            R"(unexpected operation "UPDATE", node "n1" can only create and delete mirror pods)");
  EXPECT_EQ(Try("update", "pods/resize", "p", kMine, kMine),
            R"(unexpected pod subresource "resize", only 'status' and 'eviction' are allowed)");
}

TEST_F(NodeRestrictionTest, OnlyMirrorPodsAreItsToMake) {
  const auto create = [this](std::string_view owner, std::string_view spec) {
    return Try("create", "pods", "p",
               StrCat(R"({"metadata":{"name":"p","annotations":{"kubernetes.io/config.mirror":"h"},
                         "ownerReferences":[)",
                      owner, "]},\"spec\":", spec, "}"));
  };
  constexpr char kSelf[] =
      R"({"apiVersion":"v1","kind":"Node","name":"n1","uid":"u1","controller":true})";
  constexpr char kSpec[] = R"({"nodeName":"n1","containers":[{"name":"c"}]})";
  EXPECT_EQ(create(kSelf, kSpec), "");
  EXPECT_EQ(
      Try("create", "pods", "p", kMine),
      R"(pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create )"
      "mirror pods");
  EXPECT_EQ(create(kSelf, R"({"nodeName":"n2"})"),
            R"(node "n1" can only create pods with spec.nodeName set to itself)");
  EXPECT_EQ(create("", kSpec),
            R"(node "n1" can only create pods with an owner reference set to itself)");
  EXPECT_EQ(create(StrCat(kSelf, ",", kSelf), kSpec),
            R"(node "n1" can only create pods with a single owner reference set to itself)");
  EXPECT_EQ(create(R"({"apiVersion":"v1","kind":"Node","name":"n2","uid":"u1"})", kSpec),
            R"(node "n1" can only create pods with an owner reference set to itself)");
  EXPECT_EQ(create(R"({"apiVersion":"v1","kind":"Node","name":"n1","uid":"u1"})", kSpec),
            R"(node "n1" can only create pods with a controller owner reference set to itself)");
  EXPECT_EQ(create(R"({"apiVersion":"v1","kind":"Node","name":"n1","uid":"u9","controller":true})",
                   kSpec),
            "node n1 UID mismatch: expected u9 got u1");
  for (const auto& [part, what] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"("serviceAccountName":"default")", "a service account"},
           {R"("imagePullSecrets":[{"name":"s"}])", "secrets"},
           {R"("volumes":[{"name":"v","secret":{"secretName":"s"}}])", "secrets"},
           {R"("initContainers":[{"envFrom":[{"configMapRef":{"name":"m"}}]}])", "configmaps"},
           {R"("volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}}])",
            "persistentvolumeclaims"}}) {
    EXPECT_EQ(create(kSelf, StrCat(R"({"nodeName":"n1",)", part, "}")),
              StrCat(R"(node "n1" can not create pods that reference )", what));
  }
}

TEST_F(NodeRestrictionTest, ItsNodeAndLeaseAreItsOwn) {
  const auto node = [](std::string_view labels, std::string_view taints = "[]") {
    return StrCat(R"({"metadata":{"name":"n1","labels":{)", labels, R"(}},"spec":{"taints":)",
                  taints, "}}");
  };
  const std::string plain = node(R"("kubernetes.io/hostname":"n1","a":"b")");
  EXPECT_EQ(Try("create", "nodes", "n1", plain), "");
  EXPECT_EQ(Try("create", "nodes", "n2", plain), R"(node "n1" is not allowed to modify node "n2")");
  EXPECT_EQ(Try("create", "nodes", "n1",
                node(R"("node-restriction.kubernetes.io/team":"a","x.k8s.io/y":"z",
                        "node.kubernetes.io/any":"fine")")),
            R"(node "n1" is not allowed to set the following labels: )"
            "node-restriction.kubernetes.io/team, x.k8s.io/y");
  const std::string set = node(R"("node-restriction.kubernetes.io/team":"a")");
  EXPECT_EQ(Try("update", "nodes", "n1", set, set), "");
  EXPECT_EQ(Try("update", "nodes/status", "n1", plain, set),
            "is not allowed to modify labels: node-restriction.kubernetes.io/team");
  EXPECT_EQ(
      Try("update", "nodes", "n1", node("", R"([{"key":"k","effect":"NoExecute"}])"), node("")),
      R"(node "n1" is not allowed to modify taints)");
  // Nor may it take off what another put on.
  EXPECT_EQ(
      Try("update", "nodes", "n1", node(""), node("", R"([{"key":"k","effect":"NoExecute"}])")),
      R"(node "n1" is not allowed to modify taints)");

  constexpr char kLease[] = R"({"metadata":{"name":"n1"}})";
  EXPECT_EQ(Try("create", "leases", "n1", kLease, "", "coordination.k8s.io"), "");
  EXPECT_EQ(Try("update", "leases", "n2", kLease, kLease, "coordination.k8s.io"),
            "can only access node lease with the same name as the requesting node");
  EXPECT_EQ(Try("create", "configmaps", "c", kLease), "");
}

TEST_F(NodeRestrictionTest, TokensAreBoundToItsPods) {
  view_.Put("pods",
            R"({"metadata":{"name":"p","namespace":"x","uid":"up"},"spec":{"nodeName":"n1"}})");
  view_.Put("pods",
            R"({"metadata":{"name":"q","namespace":"x","uid":"uq"},"spec":{"nodeName":"n2"}})");
  const auto ask = [this](std::string_view bound) {
    return Try("create", "serviceaccounts/token", "default",
               StrCat(R"({"spec":{"boundObjectRef":)", bound, "}}"));
  };
  EXPECT_EQ(ask(R"({"apiVersion":"v1","kind":"Pod","name":"p","uid":"up"})"), "");
  EXPECT_EQ(ask("null"), "node requested token not bound to a pod");
  EXPECT_EQ(ask(R"({"apiVersion":"v1","kind":"Pod","name":"p"})"),
            "node requested token with a pod binding without a uid");
  EXPECT_EQ(ask(R"({"apiVersion":"v1","kind":"Pod","name":"q","uid":"uq"})"),
            "node requested token bound to a pod scheduled on a different node");
  EXPECT_EQ(
      ask(R"({"apiVersion":"v1","kind":"Pod","name":"p","uid":"uq"})"),
      "the UID in the bound object reference (uq) does not match the UID in record. The object "
      "might have been deleted and then recreated");
}

TEST_F(NodeRestrictionTest, OthersAreNotItsBusiness) {
  EXPECT_EQ(Try("update", "pods/status", "p", kOther, kOther, "", "system:keel-hollow-nodes"), "");
  EXPECT_EQ(Try("update", "pods/status", "p", kOther, kOther, "", "system:node:"),
            R"(could not determine node from user "system:node:")");
}

}  // namespace
}  // namespace keel::orchestrator
