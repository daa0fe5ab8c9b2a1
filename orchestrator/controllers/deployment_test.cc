#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "orchestrator/controllers/deployment_reconcile.h"
#include "orchestrator/controllers/deployment_sets.h"
#include "orchestrator/controllers/testing/controller_world.h"

namespace keel::orchestrator {
namespace {

using testing::Contains;
using testing::HasSubstr;

const Resource kDeployments{"apps", "v1", "deployments"};
const Resource kSets{"apps", "v1", "replicasets"};

json::value Deployment(int64_t replicas, const std::string& image,
                       const std::string& strategy =
                           R"({"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%",
                               "maxUnavailable":"25%"}})") {
  return ParseJson(base::StrCat(
                       R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web",
    "namespace":"default","annotations":{"note":"x"}},"spec":{"replicas":)",
                       replicas, R"(,"revisionHistoryLimit":3,"progressDeadlineSeconds":600,
    "selector":{"matchLabels":{"app":"web"}},"strategy":)",
                       strategy, R"(,
    "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":")",
                       image, R"("}]}}}})"))
      .value();
}

TEST(LimitsOf, RoundsSurgeUpAndUnavailableDown) {
  const auto limits = [](int64_t replicas, const std::string& surge, const std::string& gone) {
    const json::value d =
        Deployment(replicas, "a",
                   base::StrCat(R"({"type":"RollingUpdate","rollingUpdate":{"maxSurge":)", surge,
                                R"(,"maxUnavailable":)", gone, "}}"));
    const RollingLimits l = LimitsOf(d.as_object());
    return std::pair(l.surge, l.unavailable);
  };
  EXPECT_EQ(limits(10, R"("25%")", R"("25%")"), std::pair(int64_t{3}, int64_t{2}));
  EXPECT_EQ(limits(1, R"("25%")", R"("25%")"), std::pair(int64_t{1}, int64_t{0}));
  EXPECT_EQ(limits(3, "0", R"("10%")"), std::pair(int64_t{0}, int64_t{1})) << "not both 0";
  EXPECT_EQ(limits(2, "1", "5"), std::pair(int64_t{1}, int64_t{2})) << "no more than there are";
}

class DeploymentTest : public testing::Test {
 protected:
  void Apply(const json::value& deployment) {
    const json::object* stored = world.api.Stored(kDeployments, "default", "web");
    if (stored == nullptr) {
      world.api.Put(kDeployments, deployment);
      return;
    }
    world.api.Edit(kDeployments, "default", "web", [&](json::object& edited) {
      edited["spec"] = deployment.at("spec");
      *Ensure(edited, {"metadata", "generation"}) = IntAt(edited, {"metadata", "generation"}) + 1;
    });
  }
  const json::object& Stored() { return *world.api.Stored(kDeployments, "default", "web"); }
  int64_t Status(std::string_view field) { return IntAt(Stored(), {"status", field}); }
  std::string Reason(std::string_view condition) {
    const json::object* found = ConditionOf(Stored(), condition);
    return found == nullptr ? "" : std::string(StringAt(*found, {"reason"}));
  }
  // The set whose pods have that image.
  json::object SetOf(const std::string& image) {
    for (const json::object& set : world.api.All(kSets)) {
      const json::array& containers = ArrayAt(set, {"spec", "template", "spec", "containers"});
      if (StringAt(containers.at(0), {"image"}) == image) return set;
    }
    return {};
  }

  ControllerWorld world;
  std::unique_ptr<ControllerManager> manager =
      world.Manage({"deployment-controller", "replicaset-controller"});
};

TEST_F(DeploymentTest, ComesUp) {
  Apply(Deployment(3, "a"));
  world.Settle();
  EXPECT_EQ(world.ActivePods(), 3u);
  EXPECT_EQ(Status("availableReplicas"), 3);
  EXPECT_EQ(Status("observedGeneration"), IntAt(Stored(), {"metadata", "generation"}));
  EXPECT_EQ(Reason("Available"), "MinimumReplicasAvailable");
  EXPECT_EQ(Reason("Progressing"), "NewReplicaSetAvailable");
  EXPECT_EQ(AnnotationOf(Stored(), kRevision), "1");
  const json::object set = SetOf("a");
  EXPECT_EQ(AnnotationOf(set, kRevision), "1");
  EXPECT_EQ(AnnotationOf(set, "note"), "x");
  EXPECT_EQ(AnnotationOf(set, kDesiredReplicas), "3");
  EXPECT_EQ(AnnotationOf(set, kMaxReplicas), "4");
  const std::string hash(StringAt(set, {"metadata", "labels", kTemplateHash}));
  EXPECT_EQ(NameOf(set), "web-" + hash);
  EXPECT_EQ(StringAt(set, {"spec", "selector", "matchLabels", kTemplateHash}), hash);
  EXPECT_THAT(world.EventMessages(),
              Contains("Scaled up replica set web-" + hash + " from 0 to 3"));
  // In the end nothing is written any more.
  world.api.requests.clear();
  world.loop.Advance(std::chrono::seconds(30));
  EXPECT_THAT(world.api.requests, testing::IsEmpty());
}

TEST_F(DeploymentTest, RollsWithinItsLimitsAndBack) {
  Apply(Deployment(10, "a"));
  world.Settle();
  Apply(Deployment(10, "b"));
  size_t most = 0, fewest = 100;
  for (int i = 0; i < 200; ++i) {
    world.loop.Advance(std::chrono::milliseconds(100));
    const auto pods = world.api.All(kPods);
    const auto ready =
        static_cast<size_t>(std::count_if(pods.begin(), pods.end(), [](const json::object& pod) {
          return ControllerWorld::IsReady(pod) && ControllerWorld::IsActive(pod);
        }));
    most = std::max(most, world.ActivePods());
    fewest = std::min(fewest, ready);
    // One pod at a time gets ready.
    for (const json::object& pod : pods) {
      if (ControllerWorld::IsActive(pod) && !ControllerWorld::IsReady(pod)) {
        world.SetReady(pod, true);
        break;
      }
    }
  }
  EXPECT_EQ(most, 13u);
  EXPECT_EQ(fewest, 8u);
  EXPECT_EQ(Status("updatedReplicas"), 10);
  EXPECT_EQ(Status("replicas"), 10);
  EXPECT_EQ(AnnotationOf(Stored(), kRevision), "2");
  EXPECT_EQ(IntAt(SetOf("a"), {"spec", "replicas"}), 0);
  // kubectl rollout undo puts the old template back: the old set takes it up again.
  Apply(Deployment(10, "a"));
  world.Settle(60);
  EXPECT_EQ(world.api.All(kSets).size(), 2u);
  EXPECT_EQ(AnnotationOf(Stored(), kRevision), "3");
  EXPECT_EQ(AnnotationOf(SetOf("a"), kRevision), "3");
  EXPECT_EQ(AnnotationOf(SetOf("a"), kRevisionHistory), "1");
  EXPECT_EQ(IntAt(SetOf("a"), {"status", "availableReplicas"}), 10);
}

TEST_F(DeploymentTest, ABrokenTemplateStopsTheRolloutAndTimesOut) {
  Apply(Deployment(4, "a"));
  world.Settle();
  world.is_broken = [](const json::object& pod) {
    return StringAt(ArrayAt(pod, {"spec", "containers"}).at(0), {"image"}) == "bad";
  };
  Apply(Deployment(4, "bad"));
  world.Settle();
  EXPECT_EQ(IntAt(SetOf("a"), {"status", "availableReplicas"}), 3);
  EXPECT_EQ(IntAt(SetOf("bad"), {"spec", "replicas"}), 2);
  EXPECT_EQ(Reason("Progressing"), "ReplicaSetUpdated");
  EXPECT_EQ(Reason("Available"), "MinimumReplicasAvailable");
  world.loop.Advance(std::chrono::minutes(11));
  EXPECT_EQ(Reason("Progressing"), "ProgressDeadlineExceeded");
  EXPECT_FALSE(ConditionIsTrue(Stored(), "Progressing"));
  Apply(Deployment(4, "good"));
  world.Settle(60);
  EXPECT_EQ(Reason("Progressing"), "NewReplicaSetAvailable");
  EXPECT_EQ(IntAt(SetOf("good"), {"status", "availableReplicas"}), 4);
  EXPECT_EQ(world.ActivePods(), 4u);
}

TEST_F(DeploymentTest, ScalingDuringARolloutIsShared) {
  Apply(Deployment(10, "a"));
  world.Settle();
  world.is_broken = [](const json::object& pod) {
    return StringAt(ArrayAt(pod, {"spec", "containers"}).at(0), {"image"}) == "b";
  };
  Apply(Deployment(10, "b"));
  world.Settle();
  const int64_t a = IntAt(SetOf("a"), {"spec", "replicas"});
  const int64_t b = IntAt(SetOf("b"), {"spec", "replicas"});
  EXPECT_EQ(a, 8);
  EXPECT_EQ(b, 5);
  Apply(Deployment(20, "b"));
  world.Settle();
  EXPECT_EQ(IntAt(SetOf("a"), {"spec", "replicas"}) + IntAt(SetOf("b"), {"spec", "replicas"}), 25);
  EXPECT_GT(IntAt(SetOf("a"), {"spec", "replicas"}), 12);
  EXPECT_GT(IntAt(SetOf("b"), {"spec", "replicas"}), 8);
}

TEST_F(DeploymentTest, RecreateWaitsForTheLastOldPod) {
  const char* recreate = R"({"type":"Recreate"})";
  Apply(Deployment(3, "a", recreate));
  world.Settle();
  // Pods take their time to go.
  for (const json::object& pod : world.api.All(kPods)) {
    world.api.Edit(kPods, "default", NameOf(pod), [](json::object& edited) {
      *Ensure(edited, {"metadata", "finalizers"}) = json::array{"test/slow"};
    });
  }
  Apply(Deployment(3, "b", recreate));
  world.Settle();
  EXPECT_EQ(world.ActivePods(), 0u);
  EXPECT_TRUE(SetOf("b").empty());
  for (const json::object& pod : world.api.All(kPods)) {
    world.api.Erase(kPods, "default", NameOf(pod));
  }
  world.Settle();
  EXPECT_EQ(world.ActivePods(), 3u);
  EXPECT_EQ(Status("updatedReplicas"), 3);
}

TEST_F(DeploymentTest, PausedItScalesButDoesNotRoll) {
  Apply(Deployment(2, "a"));
  world.Settle();
  json::value paused = Deployment(4, "b");
  *Ensure(paused, {"spec", "paused"}) = true;
  Apply(paused);
  world.Settle();
  EXPECT_EQ(world.ActivePods(), 4u);
  EXPECT_TRUE(SetOf("b").empty());
  EXPECT_EQ(Reason("Progressing"), "DeploymentPaused");
  Apply(Deployment(4, "b"));
  world.Settle(60);
  EXPECT_EQ(IntAt(SetOf("b"), {"status", "availableReplicas"}), 4);
}

TEST_F(DeploymentTest, KeepsAsMuchHistoryAsItIsTold) {
  for (const char* image : {"a", "b", "c", "d", "e", "f"}) {
    Apply(Deployment(2, image));
    world.Settle(30);
  }
  EXPECT_EQ(world.api.All(kSets).size(), 4u);
  EXPECT_TRUE(SetOf("a").empty());
  EXPECT_EQ(AnnotationOf(SetOf("f"), kRevision), "6");
}

TEST_F(DeploymentTest, ATakenNameIsNoObstacle) {
  json::value other = Deployment(1, "a");
  const json::object wanted = NewSetOf(other.as_object());
  json::object taken = wanted;
  *Ensure(taken, {"metadata", "ownerReferences"}) = json::array();
  *Ensure(taken, {"metadata", "labels"}) = json::object{{"app", "other"}};
  *Ensure(taken, {"spec", "selector", "matchLabels"}) = json::object{{"app", "other"}};
  *Ensure(taken, {"spec", "template", "metadata", "labels"}) = json::object{{"app", "other"}};
  world.api.Put(kSets, json::value(taken));
  Apply(Deployment(1, "a"));
  world.Settle();
  EXPECT_EQ(Status("collisionCount"), 1);
  EXPECT_EQ(Status("availableReplicas"), 1);
}

TEST_F(DeploymentTest, AdoptsASetThatItSelects) {
  const json::value deployment = Deployment(2, "a");
  json::object orphan = NewSetOf(deployment.as_object());
  *Ensure(orphan, {"metadata", "ownerReferences"}) = json::array();
  *Ensure(orphan, {"spec", "replicas"}) = 2;
  world.api.Put(kSets, json::value(orphan));
  Apply(deployment);
  world.Settle();
  EXPECT_EQ(world.api.All(kSets).size(), 1u);
  EXPECT_EQ(ControllerInfoOf(world.api.All(kSets)[0]).uid, UidOf(Stored()));
  EXPECT_EQ(Status("availableReplicas"), 2);
}

// From any sequence of changes, with requests that fail, answers that are lost, events that come
// late and managers that are killed: the sets never ask for more than replicas + maxSurge, and the
// end is right. While nothing fails, there are never more pods than that, and those that are ready
// never go below replicas - maxUnavailable.
RC_GTEST_PROP(Deployment, ConvergesWithinItsLimitsWhateverFails, ()) {
  ControllerWorld world;
  const std::vector<std::string> names{"deployment-controller", "replicaset-controller"};
  auto manager = world.Manage(names);
  const int replicas = *rc::gen::inRange(1, 8);
  const int surge = *rc::gen::inRange(0, 4);
  const int unavailable = *rc::gen::inRange(surge == 0 ? 1 : 0, 4);
  const auto with_image = [&](const std::string& image) {
    return Deployment(replicas, image,
                      base::StrCat(R"({"type":"RollingUpdate","rollingUpdate":{"maxSurge":)", surge,
                                   R"(,"maxUnavailable":)", unavailable, "}}"));
  };
  world.api.Put(kDeployments, with_image("a"));
  world.Settle(20);
  RC_ASSERT(world.ActivePods() == static_cast<size_t>(replicas));
  uint32_t random = *rc::gen::arbitrary<uint32_t>() | 1;
  const auto next = [&](uint32_t bound) {
    random = random * 1664525u + 1013904223u;
    return (random >> 16) % bound;
  };
  // Who has not heard yet that a pod is ready may delete it as one that is not.
  const bool calm = next(2) == 0;
  const uint32_t failing = calm ? 0 : next(5);
  const auto maybe = [&](const FakeApi::Request&) {
    return failing > 0 && next(10) < failing ? Unavailable("chaos") : absl::OkStatus();
  };
  world.api.fail = maybe;
  world.api.fail_after = maybe;
  std::string image = "a";
  for (int step = 0; step < 60; ++step) {
    if (next(8) == 0) {
      image = std::string(1, static_cast<char>('a' + next(3)));
      const json::value changed = with_image(image);
      world.api.Edit(kDeployments, "default", "web",
                     [&](json::object& edited) { edited["spec"] = changed.at("spec"); });
    }
    if (!calm && next(6) == 0) world.api.HoldEvents(next(2) == 0);
    if (next(15) == 0) manager = world.Manage(names);
    if (!calm && next(10) == 0) world.api.EndWatches(absl::OkStatus());
    world.loop.Advance(std::chrono::milliseconds(next(400)));
    int active = 0, ready = 0;
    for (const json::object& pod : world.api.All(kPods)) {
      if (!ControllerWorld::IsActive(pod)) continue;
      ++active;
      ready += ControllerWorld::IsReady(pod);
      if (!ControllerWorld::IsReady(pod) && next(3) == 0) world.SetReady(pod, true);
    }
    int64_t wanted = 0;
    for (const json::object& set : world.api.All(kSets)) wanted += IntAt(set, {"spec", "replicas"});
    RC_ASSERT(wanted <= replicas + surge);
    if (calm) {
      RC_ASSERT(active <= replicas + surge);
      RC_ASSERT(ready >= replicas - unavailable);
      world.loop.RunUntilIdle();
    }
  }
  world.api.HoldEvents(false);
  world.api.fail = world.api.fail_after = nullptr;
  world.Settle(100);
  RC_ASSERT(world.ActivePods() == static_cast<size_t>(replicas));
  for (const json::object& pod : world.api.All(kPods)) {
    RC_ASSERT(StringAt(ArrayAt(pod, {"spec", "containers"}).at(0), {"image"}) == image);
  }
  const json::object& deployment = *world.api.Stored(kDeployments, "default", "web");
  RC_ASSERT(IntAt(deployment, {"status", "availableReplicas"}) == replicas);
  RC_ASSERT(IntAt(deployment, {"status", "updatedReplicas"}) == replicas);
}

}  // namespace
}  // namespace keel::orchestrator
