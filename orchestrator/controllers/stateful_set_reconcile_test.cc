#include "orchestrator/controllers/stateful_set_reconcile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "orchestrator/controllers/testing/plan_world.h"

namespace keel::orchestrator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct SetWorld {
  PlanWorld world;
  json::object set = ParseJson(R"({"metadata":{"name":"web","namespace":"d","uid":"su",
      "generation":1},"spec":{"replicas":3,"serviceName":"svc",
      "selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
      "spec":{"containers":[{"name":"c","image":"i1"}]}}}})")
                         ->as_object();

  Plan Reconcile() {
    std::vector<const json::object*> revisions, claims;
    for (json::object* each : world.All("controllerrevisions")) revisions.push_back(each);
    for (json::object* each : world.All("persistentvolumeclaims")) claims.push_back(each);
    return ReconcileStatefulSet({.set = set,
                                 .pods = world.PodPointers(),
                                 .claims = claims,
                                 .revisions = revisions,
                                 .now = world.now});
  }
  bool Settle() {
    for (int i = 0; i < 30; ++i) {
      Plan plan = Reconcile();
      if (plan.empty()) return true;
      world.Apply(std::move(plan), set);
    }
    return false;
  }
  void Work(json::object& pod) {
    if (!StringAt(pod, {"metadata", "deletionTimestamp"}).empty()) return world.Gone(pod);
    if (StringAt(pod, {"status", "phase"}) != "Pending") return;
    pod["spec"].as_object()["nodeName"] = "n";
    world.SetPhase(pod, "Running");
  }
  void Converge() {
    for (int i = 0; i < 60; ++i) {
      world.Apply(Reconcile(), set);
      for (const PodInfo* pod : std::vector(world.PodPointers())) {
        Work(*world.Find("pods", pod->name));
      }
      world.now += absl::Seconds(10);
    }
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (json::object* pod : world.All("pods")) names.emplace_back(NameOf(*pod));
    return names;
  }
  std::vector<std::string> Images() {
    std::vector<std::string> images;
    for (json::object* pod : world.All("pods")) {
      images.emplace_back(StringAt(ArrayAt(*pod, {"spec", "containers"})[0], {"image"}));
    }
    return images;
  }
  void SetImage(std::string_view image) {
    Find(set, {"spec", "template", "spec", "containers"})->get_array()[0].as_object()["image"] =
        image;
    *Ensure(set, {"metadata", "generation"}) = IntAt(set, {"metadata", "generation"}) + 1;
  }
  json::object& spec() { return set["spec"].as_object(); }
  int64_t Status(std::string_view name) { return IntAt(set, {"status", name}); }
};

TEST(StatefulSet, StartsInOrder) {
  SetWorld w;
  ASSERT_TRUE(w.Settle());
  EXPECT_THAT(w.Names(), ElementsAre("web-0"));
  const json::object& pod = *w.world.All("pods")[0];
  EXPECT_EQ(StringAt(pod, {"spec", "hostname"}), "web-0");
  EXPECT_EQ(StringAt(pod, {"spec", "subdomain"}), "svc");
  EXPECT_EQ(StringAt(pod, {"metadata", "labels", "apps.kubernetes.io/pod-index"}), "0");
  EXPECT_EQ(StringAt(pod, {"metadata", "labels", "controller-revision-hash"}),
            StringAt(w.set, {"status", "updateRevision"}));
  w.Work(*w.world.All("pods")[0]);
  ASSERT_TRUE(w.Settle());
  EXPECT_THAT(w.Names(), ElementsAre("web-0", "web-1"));
  w.Converge();
  EXPECT_THAT(w.Names(), ElementsAre("web-0", "web-1", "web-2"));
  EXPECT_EQ(w.Status("replicas"), 3);
  EXPECT_EQ(w.Status("readyReplicas"), 3);
  EXPECT_EQ(w.Status("availableReplicas"), 3);
  EXPECT_EQ(w.Status("currentReplicas"), 3);
  EXPECT_EQ(w.Status("updatedReplicas"), 3);
  EXPECT_THAT(w.world.notes,
              ::testing::Contains(Note{false, "SuccessfulCreate",
                                       "create Pod web-2 in StatefulSet web successful"}));
}

TEST(StatefulSet, ParallelStartsAtOnceFromItsFirstOrdinal) {
  SetWorld w;
  w.spec()["podManagementPolicy"] = "Parallel";
  w.spec()["ordinals"] = json::object{{"start", 5}};
  ASSERT_TRUE(w.Settle());
  EXPECT_THAT(w.Names(), ElementsAre("web-5", "web-6", "web-7"));
}

TEST(StatefulSet, StopsTheLastFirst) {
  SetWorld w;
  w.Converge();
  w.spec()["replicas"] = 1;
  w.world.Apply(w.Reconcile(), w.set);
  EXPECT_FALSE(StringAt(*w.world.Find("pods", "web-2"), {"metadata", "deletionTimestamp"}).empty());
  EXPECT_TRUE(StringAt(*w.world.Find("pods", "web-1"), {"metadata", "deletionTimestamp"}).empty());
  w.Converge();
  EXPECT_THAT(w.Names(), ElementsAre("web-0"));
  w.spec()["replicas"] = 0;
  w.Converge();
  EXPECT_THAT(w.Names(), IsEmpty());
  EXPECT_EQ(w.Status("replicas"), 0);
}

TEST(StatefulSet, MakesClaimsThatOutliveItsPods) {
  SetWorld w;
  w.spec()["volumeClaimTemplates"] = *ParseJson(R"([{"metadata":{"name":"data"},
      "spec":{"resources":{"requests":{"storage":"1Gi"}}}}])");
  w.Converge();
  ASSERT_THAT(w.world.All("persistentvolumeclaims"), SizeIs(3));
  const json::object& claim = *w.world.Find("persistentvolumeclaims", "data-web-1");
  EXPECT_EQ(StringAt(claim, {"metadata", "labels", "a"}), "b");
  EXPECT_EQ(StringAt(claim, {"spec", "resources", "requests", "storage"}), "1Gi");
  EXPECT_EQ(PodInfo::Parse(*w.world.Find("pods", "web-1")).claims.at(0), "data-web-1");
  w.spec()["replicas"] = 1;
  w.Converge();
  EXPECT_THAT(w.world.All("persistentvolumeclaims"), SizeIs(3));
}

TEST(StatefulSet, RetentionPolicyOwnsClaims) {
  SetWorld w;
  w.spec()["volumeClaimTemplates"] = *ParseJson(R"([{"metadata":{"name":"data"},"spec":{}}])");
  w.spec()["persistentVolumeClaimRetentionPolicy"] =
      json::object{{"whenDeleted", "Delete"}, {"whenScaled", "Delete"}};
  w.Converge();
  const auto owner = [&](const std::string& claim) {
    const json::array& owners =
        ArrayAt(*w.world.Find("persistentvolumeclaims", claim), {"metadata", "ownerReferences"});
    return owners.empty() ? "" : std::string(StringAt(owners[0], {"kind"}));
  };
  EXPECT_EQ(owner("data-web-2"), "StatefulSet");
  w.spec()["replicas"] = 2;
  w.Converge();
  EXPECT_EQ(owner("data-web-2"), "Pod");
  EXPECT_EQ(owner("data-web-1"), "StatefulSet");
  w.spec()["replicas"] = 3;
  w.Converge();
  EXPECT_EQ(owner("data-web-2"), "StatefulSet");
}

TEST(StatefulSet, UpdatesFromTheLastDownToThePartition) {
  SetWorld w;
  w.Converge();
  const std::string first(StringAt(w.set, {"status", "currentRevision"}));
  *Ensure(w.set, {"spec", "updateStrategy"}) =
      json::object{{"type", "RollingUpdate"}, {"rollingUpdate", {{"partition", 2}}}};
  w.SetImage("i2");
  w.Converge();
  EXPECT_THAT(w.Images(), ElementsAre("i1", "i1", "i2"));
  EXPECT_EQ(StringAt(w.set, {"status", "currentRevision"}), first);
  EXPECT_EQ(w.Status("currentReplicas"), 2);
  EXPECT_EQ(w.Status("updatedReplicas"), 1);
  // One below the partition comes back as it was.
  *Ensure(*w.world.Find("pods", "web-0"), {"metadata", "deletionTimestamp"}) =
      "2026-11-23T07:00:00Z";
  w.Converge();
  EXPECT_THAT(w.Images(), ElementsAre("i1", "i1", "i2"));
  *Ensure(w.set, {"spec", "updateStrategy", "rollingUpdate", "partition"}) = 0;
  w.Converge();
  EXPECT_THAT(w.Images(), ElementsAre("i2", "i2", "i2"));
  EXPECT_EQ(StringAt(w.set, {"status", "currentRevision"}),
            StringAt(w.set, {"status", "updateRevision"}));
  EXPECT_NE(StringAt(w.set, {"status", "currentRevision"}), first);
}

TEST(StatefulSet, OnDeleteWaits) {
  SetWorld w;
  *Ensure(w.set, {"spec", "updateStrategy", "type"}) = "OnDelete";
  w.Converge();
  w.SetImage("i2");
  w.Converge();
  EXPECT_THAT(w.Images(), ElementsAre("i1", "i1", "i1"));
  *Ensure(*w.world.Find("pods", "web-1"), {"metadata", "deletionTimestamp"}) =
      "2026-11-23T07:00:00Z";
  w.Converge();
  EXPECT_THAT(w.Images(), ElementsAre("i1", "i2", "i1"));
}

TEST(StatefulSet, RecreatesAPodThatFailed) {
  SetWorld w;
  w.Converge();
  const std::string uid(UidOf(*w.world.Find("pods", "web-1")));
  w.world.SetPhase(*w.world.Find("pods", "web-1"), "Failed");
  w.Converge();
  EXPECT_NE(UidOf(*w.world.Find("pods", "web-1")), uid);
  EXPECT_EQ(w.Status("readyReplicas"), 3);
}

TEST(StatefulSet, Ordinals) {
  EXPECT_EQ(OrdinalOf("web-12", "web"), 12);
  EXPECT_EQ(OrdinalOf("web-0", "web"), 0);
  for (const char* name : {"web-", "web", "web-01", "web-x", "web-1x", "web--1", "wob-1"}) {
    EXPECT_EQ(OrdinalOf(name, "web"), -1) << name;
  }
}

// Whatever pods do and wherever the controller is killed: ordered sets never have more than one pod
// on its way up or down, and in the end all is as asked.
RC_GTEST_PROP(StatefulSetProperty, ConvergesInOrder, (bool parallel)) {
  SetWorld w;
  if (parallel) w.spec()["podManagementPolicy"] = "Parallel";
  for (int step = 0; step < 120; ++step) {
    const int action = *rc::gen::inRange(0, 12);
    const auto pods = w.world.All("pods");
    if (action == 0) w.spec()["replicas"] = *rc::gen::inRange(0, 5);
    if (action == 1) w.SetImage(*rc::gen::element<std::string>("i1", "i2"));
    if (action == 2 && !pods.empty()) {
      w.world.SetPhase(*pods[*rc::gen::inRange<size_t>(0, pods.size())], "Failed");
    }
    if (action >= 3 && action <= 6 && !pods.empty()) {
      w.Work(*pods[*rc::gen::inRange<size_t>(0, pods.size())]);
    }
    if (action > 6) {
      const Plan plan = w.Reconcile();
      int changes = 0;
      for (const Request& request : plan.requests) changes += request.resource == kPodRef;
      RC_ASSERT(parallel || changes <= 1);
      w.world.Apply(plan, w.set, *rc::gen::inRange<size_t>(0, 6));
    }
  }
  w.Converge();
  RC_ASSERT(w.Status("readyReplicas") == IntAt(w.set, {"spec", "replicas"}));
  RC_ASSERT(static_cast<int64_t>(w.world.All("pods").size()) == IntAt(w.set, {"spec", "replicas"}));
  const std::string image(
      StringAt(ArrayAt(w.set, {"spec", "template", "spec", "containers"})[0], {"image"}));
  for (const std::string& each : w.Images()) RC_ASSERT(each == image);
}

}  // namespace
}  // namespace keel::orchestrator
