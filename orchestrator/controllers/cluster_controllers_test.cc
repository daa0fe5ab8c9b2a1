// Namespaces, garbage collection, endpoints and service accounts, against an API server in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/temp_dir.h"
#include "orchestrator/controllers/endpoints_reconcile.h"
#include "orchestrator/controllers/garbage_graph.h"
#include "orchestrator/controllers/namespace_reconcile.h"
#include "orchestrator/controllers/testing/controller_world.h"

namespace keel::orchestrator {
namespace {

using testing::HasSubstr;

const Resource kNamespacesRef{"", "v1", "namespaces"};
const Resource kConfigMaps{"", "v1", "configmaps"};
const Resource kSets{"apps", "v1", "replicasets"};
const Resource kDeployments{"apps", "v1", "deployments"};
const Resource kServices{"", "v1", "services"};
const Resource kEndpoints{"", "v1", "endpoints"};
const Resource kSlices{"discovery.k8s.io", "v1", "endpointslices"};
const Resource kAccounts{"", "v1", "serviceaccounts"};

void PutNamespace(ControllerWorld& world, const std::string& name) {
  world.api.Put(kNamespacesRef,
                base::StrCat(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":")", name,
                             R"("},"spec":{"finalizers":["kubernetes"]}})"));
}

std::string Owner(const json::object& owner, const std::string& kind, bool blocks = true) {
  return base::StrCat(R"({"apiVersion":"apps/v1","kind":")", kind, R"(","name":")", NameOf(owner),
                      R"(","uid":")", UidOf(owner), R"(","controller":true,"blockOwnerDeletion":)",
                      blocks ? "true" : "false", "}");
}

json::object PutOwned(ControllerWorld& world, const Resource& r, const std::string& kind,
                      const std::string& name, const std::string& owners) {
  return world.api.Put(
      r, base::StrCat(R"({"apiVersion":")", r.api_version(), R"(","kind":")", kind,
                      R"(","metadata":{"name":")", name,
                      R"(","namespace":"default","ownerReferences":[)", owners, "]}}"));
}

// ---- Namespaces

class NamespaceTest : public testing::Test {
 protected:
  void Delete(const std::string& name) {
    world.api.Delete(kNamespacesRef, "", name, nullptr, [](absl::StatusOr<json::value>) {});
  }
  ControllerWorld world;
  std::unique_ptr<ControllerManager> manager = world.Manage({"namespace-controller"});
};

TEST_F(NamespaceTest, GoesWithAllThatIsInIt) {
  PutNamespace(world, "a");
  PutNamespace(world, "b");
  for (const char* ns : {"a", "b"}) {
    world.api.Put(kConfigMaps, base::StrCat(R"({"kind":"ConfigMap","metadata":{"name":"x",
        "namespace":")",
                                            ns, R"("}})"));
    world.api.Put(kSets, base::StrCat(R"({"kind":"ReplicaSet","metadata":{"name":"x",
        "namespace":")",
                                      ns, R"("}})"));
  }
  world.Settle();
  EXPECT_EQ(world.api.All(kConfigMaps).size(), 2u) << "nothing is deleted unasked";
  Delete("a");
  world.Settle();
  EXPECT_EQ(world.api.Stored(kNamespacesRef, "", "a"), nullptr);
  EXPECT_EQ(world.api.All(kConfigMaps, "a").size(), 0u);
  EXPECT_EQ(world.api.All(kSets, "a").size(), 0u);
  EXPECT_EQ(world.api.All(kConfigMaps, "b").size(), 1u);
  EXPECT_NE(world.api.Stored(kNamespacesRef, "", "b"), nullptr);
}

TEST_F(NamespaceTest, WaitsForFinalizersAndSaysSo) {
  PutNamespace(world, "a");
  world.api.Put(kConfigMaps, R"({"kind":"ConfigMap","metadata":{"name":"x","namespace":"a",
      "finalizers":["test/hold"]}})");
  Delete("a");
  world.Settle();
  const json::object* ns = world.api.Stored(kNamespacesRef, "", "a");
  ASSERT_NE(ns, nullptr);
  EXPECT_EQ(StringAt(*ConditionOf(*ns, "NamespaceContentRemaining"), {"message"}),
            "Some resources are remaining: configmaps has 1 resource instances");
  EXPECT_EQ(StringAt(*ConditionOf(*ns, "NamespaceFinalizersRemaining"), {"message"}),
            "Some content in the namespace has finalizers remaining: test/hold in 1 resource "
            "instances");
  world.api.Erase(kConfigMaps, "a", "x");
  world.Settle();
  EXPECT_EQ(world.api.Stored(kNamespacesRef, "", "a"), nullptr);
}

TEST_F(NamespaceTest, StaysWhileItIsNotKnownWhatIsInIt) {
  PutNamespace(world, "a");
  world.api.fail = [](const FakeApi::Request& request) {
    return request.verb == "list" && request.ns == "a" ? Unavailable("down") : absl::OkStatus();
  };
  world.api.Put(kConfigMaps, R"({"kind":"ConfigMap","metadata":{"name":"x","namespace":"a"}})");
  Delete("a");
  world.Settle();
  ASSERT_NE(world.api.Stored(kNamespacesRef, "", "a"), nullptr);
  EXPECT_TRUE(ConditionIsTrue(*world.api.Stored(kNamespacesRef, "", "a"),
                              "NamespaceDeletionContentFailure"));
  world.api.fail = nullptr;
  world.Settle();
  EXPECT_EQ(world.api.Stored(kNamespacesRef, "", "a"), nullptr);
}

// ---- Garbage

TEST(Judge, Cases) {
  OwnedObject object{.uid = "o", .owners = {{.uid = "a"}, {.uid = "b"}}};
  using enum OwnerState;
  EXPECT_EQ(Judge(object, {kSolid, kSolid}, {}).action, GarbageAction::kNothing);
  const GarbageVerdict drop = Judge(object, {kSolid, kAbsent}, {});
  EXPECT_EQ(drop.action, GarbageAction::kDropOwners);
  EXPECT_THAT(drop.drop, testing::ElementsAre("b"));
  EXPECT_EQ(Judge(object, {kAbsent, kAbsent}, {}).action, GarbageAction::kDelete);
  EXPECT_EQ(Judge(object, {kAbsent, kWaiting}, {}).action, GarbageAction::kDelete);
  EXPECT_EQ(Judge(object, {kAbsent, kWaiting}, {{"o"}}).action, GarbageAction::kDeleteForeground);
  object.deleting = true;
  EXPECT_EQ(Judge(object, {}, {}).action, GarbageAction::kNothing);
  object.foreground = true;
  EXPECT_EQ(Judge(object, {}, {{"o", false}}).action, GarbageAction::kFinishForeground);
  EXPECT_EQ(Judge(object, {}, {{"o", true}}).action, GarbageAction::kDeleteDependents);
  object.orphan = true;
  EXPECT_EQ(Judge(object, {}, {{"o", true}}).action, GarbageAction::kOrphanDependents);
  EXPECT_EQ(Judge({.uid = "free"}, {}, {}).action, GarbageAction::kNothing);
}

class GarbageTest : public testing::Test {
 protected:
  void SetUp() override {
    deployment = world.api.Put(kDeployments, R"({"kind":"Deployment","metadata":{"name":"web",
        "namespace":"default"}})");
    set = PutOwned(world, kSets, "ReplicaSet", "web-1", Owner(deployment, "Deployment"));
    for (const char* pod : {"p1", "p2", "p3"}) {
      PutOwned(world, kPods, "Pod", pod, Owner(set, "ReplicaSet"));
    }
    manager = world.Manage({"garbage-collector-controller"});
    world.loop.Advance(std::chrono::seconds(2));
  }
  void Delete(const Resource& r, const std::string& name, const std::string& policy) {
    const json::value options = {{"propagationPolicy", policy}};
    world.api.Delete(r, "default", name, options, [](absl::StatusOr<json::value>) {});
    world.loop.Advance(std::chrono::seconds(5));
  }
  ControllerWorld world;
  json::object deployment, set;
  std::unique_ptr<ControllerManager> manager;
};

TEST_F(GarbageTest, LeavesAloneWhatIsOwned) {
  EXPECT_EQ(world.api.Count("delete", "pods"), 0u);
  EXPECT_EQ(world.api.Count("delete", "replicasets"), 0u);
}

TEST_F(GarbageTest, BackgroundDeletionGoesDownTheTree) {
  Delete(kDeployments, "web", "Background");
  EXPECT_EQ(world.api.All(kSets).size(), 0u);
  EXPECT_EQ(world.api.All(kPods).size(), 0u);
}

TEST_F(GarbageTest, ForegroundDeletionEndsWithTheOwner) {
  world.api.Edit(kPods, "default", "p1", [](json::object& pod) {
    *Ensure(pod, {"metadata", "finalizers"}) = json::array{"test/hold"};
  });
  Delete(kDeployments, "web", "Foreground");
  EXPECT_NE(world.api.Stored(kDeployments, "default", "web"), nullptr);
  EXPECT_NE(world.api.Stored(kSets, "default", "web-1"), nullptr);
  EXPECT_EQ(world.api.All(kPods).size(), 1u);
  world.api.Edit(kPods, "default", "p1", [](json::object& pod) {
    Remove(pod, {"metadata", "finalizers"});
  });
  world.loop.Advance(std::chrono::seconds(5));
  EXPECT_EQ(world.api.All(kPods).size(), 0u);
  EXPECT_EQ(world.api.All(kSets).size(), 0u);
  EXPECT_EQ(world.api.All(kDeployments).size(), 0u);
}

TEST_F(GarbageTest, OrphansStayAndAreFree) {
  Delete(kSets, "web-1", "Orphan");
  EXPECT_EQ(world.api.All(kSets).size(), 0u);
  ASSERT_EQ(world.api.All(kPods).size(), 3u);
  for (const json::object& pod : world.api.All(kPods)) {
    EXPECT_TRUE(ArrayAt(pod, {"metadata", "ownerReferences"}).empty());
  }
}

TEST_F(GarbageTest, AnOwnerOfTwoIsEnough) {
  const json::object other = world.api.Put(
      kConfigMaps,
      R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cm","namespace":"default"}})");
  world.loop.Advance(std::chrono::seconds(31));  // a kind that was not there before
  PutOwned(world, kPods, "Pod", "p4",
           base::StrCat(Owner(set, "ReplicaSet"), R"(,{"apiVersion":"v1","kind":"ConfigMap",
               "name":"cm","uid":")",
                        UidOf(other), R"("})"));
  world.loop.Advance(std::chrono::seconds(1));
  Delete(kSets, "web-1", "Background");
  ASSERT_EQ(world.api.All(kPods).size(), 1u);
  EXPECT_EQ(ArrayAt(world.api.All(kPods)[0], {"metadata", "ownerReferences"}).size(), 1u);
  world.api.Erase(kConfigMaps, "default", "cm");
  world.loop.Advance(std::chrono::seconds(5));
  EXPECT_EQ(world.api.All(kPods).size(), 0u);
}

TEST_F(GarbageTest, WhatLostItsOwnerWhileNobodyLookedGoesToo) {
  manager.reset();
  world.api.Erase(kSets, "default", "web-1");
  manager = world.Manage({"garbage-collector-controller"});
  world.loop.Advance(std::chrono::seconds(5));
  EXPECT_EQ(world.api.All(kPods).size(), 0u);
  EXPECT_EQ(world.api.All(kDeployments).size(), 1u);
}

TEST_F(GarbageTest, AnOwnerOfTheSameNameIsNotTheSame) {
  world.api.HoldEvents(true);
  world.api.Erase(kSets, "default", "web-1");
  PutOwned(world, kSets, "ReplicaSet", "web-1", Owner(deployment, "Deployment"));
  world.api.HoldEvents(false);
  world.loop.Advance(std::chrono::seconds(5));
  EXPECT_EQ(world.api.All(kPods).size(), 0u);
  EXPECT_EQ(world.api.All(kSets).size(), 1u);
}

TEST_F(GarbageTest, AServerThatDoesNotAnswerIsNoProof) {
  world.api.fail = [](const FakeApi::Request& request) {
    return request.verb == "get" ? Unavailable("down") : absl::OkStatus();
  };
  PutOwned(world, kPods, "Pod", "p9", R"({"apiVersion":"apps/v1","kind":"ReplicaSet","name":"late",
      "uid":"not-seen-yet","controller":true})");
  world.loop.Advance(std::chrono::seconds(5));
  EXPECT_EQ(world.api.All(kPods).size(), 4u);
  world.api.fail = nullptr;
  world.loop.Advance(std::chrono::seconds(60));
  EXPECT_EQ(world.api.All(kPods).size(), 3u);
}

// ---- Endpoints

class EndpointsTest : public testing::Test {
 protected:
  void PutService(const std::string& target_port) {
    world.api.Put(kServices,
                  base::StrCat(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"web",
          "namespace":"default","labels":{"x":"y"}},"spec":{"selector":{"app":"web"},
          "ports":[{"name":"http","port":80,"targetPort":)",
                               target_port, R"(,"protocol":"TCP"}]}})"));
  }
  void PutPod(const std::string& name, bool ready, const std::string& app = "web") {
    const json::object pod =
        world.api.Put(kPods, base::StrCat(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")",
                                          name, R"(","namespace":"default","labels":{"app":")", app,
                                          R"("}},"spec":{"containers":[{"name":"c",
                            "ports":[{"name":"web","containerPort":8080}]}]}})"));
    world.SetReady(pod, ready);
  }
  void Wait() { world.loop.Advance(std::chrono::seconds(2)); }
  const json::array& Subsets() {
    return ArrayAt(*world.api.Stored(kEndpoints, "default", "web"), {"subsets"});
  }
  size_t InSlices() {
    size_t count = 0;
    for (const json::object& slice : world.api.All(kSlices)) {
      EXPECT_LE(ArrayAt(slice, {"endpoints"}).size(), 100u);
      count += ArrayAt(slice, {"endpoints"}).size();
    }
    return count;
  }
  ControllerWorld world;
  std::unique_ptr<ControllerManager> manager =
      world.Manage({"endpoints-controller", "endpointslice-controller"});
};

TEST_F(EndpointsTest, FollowPods) {
  PutService("80");
  Wait();
  EXPECT_TRUE(Subsets().empty());
  EXPECT_EQ(world.api.All(kSlices).size(), 1u);
  PutPod("a", true);
  PutPod("b", false);
  PutPod("other", true, "db");
  Wait();
  ASSERT_EQ(Subsets().size(), 1u);
  EXPECT_EQ(ArrayAt(Subsets().at(0), {"addresses"}).size(), 1u);
  EXPECT_EQ(StringAt(ArrayAt(Subsets().at(0), {"addresses"}).at(0), {"targetRef", "name"}), "a");
  EXPECT_EQ(ArrayAt(Subsets().at(0), {"notReadyAddresses"}).size(), 1u);
  EXPECT_EQ(IntAt(ArrayAt(Subsets().at(0), {"ports"}).at(0), {"port"}), 80);
  EXPECT_EQ(InSlices(), 2u);
  const json::object slice = world.api.All(kSlices)[0];
  EXPECT_EQ(StringAt(slice, {"metadata", "labels", "kubernetes.io/service-name"}), "web");
  EXPECT_EQ(StringAt(slice, {"addressType"}), "IPv4");
  world.api.Erase(kPods, "default", "a");
  Wait();
  EXPECT_EQ(InSlices(), 1u);
  EXPECT_EQ(ArrayAt(Subsets().at(0), {"addresses"}).size(), 0u);
  // In the end nothing is written any more.
  world.api.requests.clear();
  Wait();
  EXPECT_THAT(world.api.requests, testing::IsEmpty());
  world.api.Erase(kServices, "default", "web");
  Wait();
  EXPECT_EQ(world.api.Stored(kEndpoints, "default", "web"), nullptr);
}

TEST_F(EndpointsTest, PortsMayBeNamed) {
  PutService(R"("web")");
  PutPod("a", true);
  Wait();
  EXPECT_EQ(IntAt(ArrayAt(Subsets().at(0), {"ports"}).at(0), {"port"}), 8080);
  EXPECT_EQ(IntAt(ArrayAt(world.api.All(kSlices)[0], {"ports"}).at(0), {"port"}), 8080);
}

TEST_F(EndpointsTest, ManyAddressesTakeSeveralSlices) {
  PutService("80");
  for (int i = 0; i < 230; ++i) PutPod(base::StrCat("p", i), true);
  Wait();
  EXPECT_EQ(InSlices(), 230u);
  EXPECT_EQ(world.api.All(kSlices).size(), 3u);
  for (int i = 0; i < 200; ++i) world.api.Erase(kPods, "default", base::StrCat("p", i));
  Wait();
  EXPECT_EQ(InSlices(), 30u);
}

TEST_F(EndpointsTest, WithoutASelectorTheyAreTheUsers) {
  world.api.Put(kServices, R"({"kind":"Service","metadata":{"name":"own","namespace":"default"},
      "spec":{"ports":[{"port":80}]}})");
  Wait();
  EXPECT_EQ(world.api.Stored(kEndpoints, "default", "own"), nullptr);
}

// ---- Service accounts

TEST(NamespaceDefaults, EachNamespaceHasItsAccountAndTheCa) {
  base::TempDir dir;
  std::ofstream(dir / "ca.crt") << "PEM";
  ControllerWorld world;
  world.root_ca_file = dir / "ca.crt";
  auto manager =
      world.Manage({"serviceaccount-controller", "root-ca-certificate-publisher-controller"});
  PutNamespace(world, "a");
  world.Settle();
  ASSERT_NE(world.api.Stored(kAccounts, "a", "default"), nullptr);
  world.api.Erase(kAccounts, "a", "default");
  world.api.Edit(kConfigMaps, "a", "kube-root-ca.crt", [](json::object& map) {
    *Ensure(map, {"data", "ca.crt"}) = "tampered";
  });
  world.Settle();
  EXPECT_NE(world.api.Stored(kAccounts, "a", "default"), nullptr);
  EXPECT_EQ(StringAt(*world.api.Stored(kConfigMaps, "a", "kube-root-ca.crt"), {"data", "ca.crt"}),
            "PEM");
}

}  // namespace
}  // namespace keel::orchestrator
