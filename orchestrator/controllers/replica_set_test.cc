#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "orchestrator/controllers/replica_set_reconcile.h"
#include "orchestrator/controllers/testing/controller_world.h"

namespace keel::orchestrator {
namespace {

using testing::Contains;
using testing::HasSubstr;

const Resource kSets{"apps", "v1", "replicasets"};

json::object Set(int64_t replicas) {
  return ParseJson(base::StrCat(
                       R"({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"web",
  "namespace":"default","uid":"rs-1","generation":3},"spec":{"replicas":)",
                       replicas, R"(,"selector":{"matchLabels":{"app":"web"}},
  "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c"}]}}}})"))
      .value()
      .as_object();
}

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

PodInfo Pod(const std::string& name, const std::string& owner_uid = "rs-1",
            const std::string& app = "web") {
  json::object pod{{"metadata",
                    {{"name", name},
                     {"namespace", "default"},
                     {"uid", "uid-" + name},
                     {"creationTimestamp", TimeText(kNow - absl::Hours(1))},
                     {"labels", {{"app", app}}}}},
                   {"spec", {{"nodeName", "n1"}}},
                   {"status",
                    {{"phase", "Running"},
                     {"conditions",
                      {{{"type", "Ready"},
                        {"status", "True"},
                        {"lastTransitionTime", TimeText(kNow - absl::Minutes(30))}}}}}}};
  if (!owner_uid.empty()) {
    *Ensure(pod, {"metadata", "ownerReferences"}) =
        json::array{json::object{{"apiVersion", "apps/v1"},
                                 {"kind", "ReplicaSet"},
                                 {"name", "web"},
                                 {"uid", owner_uid},
                                 {"controller", true}}};
  }
  return PodInfo::Parse(pod);
}

Plan Reconcile(const json::object& set, const std::vector<PodInfo>& pods, bool may_manage = true) {
  ReplicasState state{.set = set, .kind = kReplicaSetKind, .may_manage = may_manage, .now = kNow};
  for (const PodInfo& pod : pods) state.pods.push_back(&pod);
  return ReconcileReplicas(state);
}

size_t CountOf(const Plan& plan, Request::Verb verb) {
  return static_cast<size_t>(
      std::count_if(plan.requests.begin(), plan.requests.end(),
                    [&](const Request& request) { return request.verb == verb; }));
}

TEST(ReconcileReplicas, CreatesWhatIsMissingWithTheTemplatesPartsAndAnOwner) {
  const json::object set = Set(3);
  const Plan plan = Reconcile(set, {Pod("a")});
  ASSERT_EQ(plan.requests.size(), 2u);
  const json::value& pod = plan.requests[0].body;
  EXPECT_EQ(StringAt(pod, {"metadata", "generateName"}), "web-");
  EXPECT_EQ(StringAt(pod, {"metadata", "labels", "app"}), "web");
  EXPECT_EQ(ArrayAt(pod, {"metadata", "ownerReferences"}).size(), 1u);
  ASSERT_TRUE(plan.status.has_value());
  EXPECT_EQ(IntAt(*plan.status, {"replicas"}), 1);
  EXPECT_EQ(IntAt(*plan.status, {"availableReplicas"}), 1);
  EXPECT_EQ(IntAt(*plan.status, {"observedGeneration"}), 3);
}

TEST(ReconcileReplicas, DoesNothingWhileTheCacheIsTooOld) {
  EXPECT_TRUE(Reconcile(Set(3), {}, false).requests.empty());
}

TEST(ReconcileReplicas, AtMostSoManyAtOnce) {
  EXPECT_EQ(Reconcile(Set(10'000), {}).requests.size(), 500u);
}

TEST(ReconcileReplicas, EndedPodsDoNotCount) {
  PodInfo failed = Pod("a"), leaving = Pod("b");
  failed.phase = PodPhase::kFailed;
  leaving.deleting = true;
  EXPECT_EQ(CountOf(Reconcile(Set(1), {failed, leaving}), Request::Verb::kCreate), 1u);
}

TEST(ReconcileReplicas, AdoptsOrphansAndReleasesWhoNoLongerMatches) {
  const Plan plan = Reconcile(Set(2), {Pod("mine"), Pod("orphan", ""), Pod("strange", "other"),
                                       Pod("renamed", "rs-1", "db")});
  ASSERT_EQ(plan.requests.size(), 2u);
  EXPECT_EQ(plan.requests[0].name, "orphan");
  EXPECT_EQ(plan.requests[1].name, "renamed");
  EXPECT_THAT(ToJson(plan.requests[1].body), HasSubstr(R"("$patch":"delete")"));
}

TEST(ReconcileReplicas, ASetThatGoesDoesNothing) {
  json::object set = Set(5);
  *Ensure(set, {"metadata", "deletionTimestamp"}) = TimeText(kNow);
  EXPECT_TRUE(Reconcile(set, {Pod("orphan", "")}).requests.empty());
}

TEST(ReconcileReplicas, ASelectorOfEverythingAdoptsNothing) {
  json::object set = Set(1);
  *Ensure(set, {"spec", "selector"}) = json::object();
  EXPECT_EQ(CountOf(Reconcile(set, {Pod("orphan", "")}), Request::Verb::kStrategicPatch), 0u);
}

TEST(ReconcileReplicas, WaitsForMinReadySeconds) {
  json::object set = Set(1);
  *Ensure(set, {"spec", "minReadySeconds"}) = 60;
  PodInfo pod = Pod("a");
  pod.ready_since = kNow - absl::Seconds(20);
  const Plan plan = Reconcile(set, {pod});
  EXPECT_EQ(IntAt(*plan.status, {"readyReplicas"}), 1);
  EXPECT_EQ(IntAt(*plan.status, {"availableReplicas"}), 0);
  EXPECT_GE(plan.again, absl::Seconds(40));
  EXPECT_LE(plan.again, absl::Seconds(41));
}

TEST(ReconcileReplicas, SaysThatItCannot) {
  const json::object set = Set(1);
  ReplicasState state{.set = set,
                      .kind = kReplicaSetKind,
                      .failure_reason = "FailedCreate",
                      .failure_message = "quota",
                      .now = kNow};
  Plan plan = ReconcileReplicas(state);
  json::object with = set;
  with["status"] = *plan.status;
  ASSERT_NE(ConditionOf(with, "ReplicaFailure"), nullptr);
  EXPECT_EQ(StringAt(*ConditionOf(with, "ReplicaFailure"), {"message"}), "quota");
  EXPECT_FALSE(Reconcile(with, {}).status->contains("conditions"));
}

// Each case: the first is deleted rather than the second.
TEST(DeletedBefore, FollowsKubernetesOrder) {
  PodInfo unbound = Pod("a"), pending = Pod("b"), unready = Pod("c"), cheap = Pod("d"),
          normal = Pod("e"), fresh = Pod("f"), restarted = Pod("g"), young = Pod("h");
  unbound.node = "";
  pending.phase = PodPhase::kPending;
  unready.ready = false;
  cheap.annotations = {{"controller.kubernetes.io/pod-deletion-cost", "-10"}};
  fresh.ready_since = kNow;
  restarted.restarts = 3;
  young.created = kNow;
  const auto before = [](const PodInfo& a, const PodInfo& b, size_t rank_a = 1, size_t rank_b = 1) {
    return DeletedBefore({&a, rank_a}, {&b, rank_b}) && !DeletedBefore({&b, rank_b}, {&a, rank_a});
  };
  EXPECT_TRUE(before(unbound, pending));
  EXPECT_TRUE(before(pending, unready));
  EXPECT_TRUE(before(unready, cheap));
  EXPECT_TRUE(before(cheap, normal, 1, 5));
  EXPECT_TRUE(before(normal, fresh, 3, 2));
  EXPECT_TRUE(before(fresh, restarted));
  EXPECT_TRUE(before(restarted, young));
  EXPECT_TRUE(before(young, normal));
}

RC_GTEST_PROP(ReconcileReplicas, DeletesJustTheExtraOnesAndTheWorstOfThem, ()) {
  const auto states = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 8));
  std::vector<PodInfo> pods;
  for (size_t i = 0; i < states.size(); ++i) {
    PodInfo pod = Pod("p" + std::to_string(i));
    pod.ready = (states[i] & 1) != 0;
    if ((states[i] & 2) != 0) pod.node = "";
    if ((states[i] & 4) != 0) pod.phase = PodPhase::kPending;
    pods.push_back(pod);
  }
  const int wanted = *rc::gen::inRange(0, 12);
  const Plan plan = Reconcile(Set(wanted), pods);
  const auto size = static_cast<int>(pods.size());
  RC_ASSERT(CountOf(plan, Request::Verb::kCreate) ==
            static_cast<size_t>(std::max(0, wanted - size)));
  RC_ASSERT(CountOf(plan, Request::Verb::kDelete) ==
            static_cast<size_t>(std::max(0, size - wanted)));
  std::set<std::string> deleted;
  for (const Request& request : plan.requests) deleted.insert(request.name);
  for (const PodInfo& gone : pods) {
    for (const PodInfo& kept : pods) {
      if (!deleted.contains(std::string(gone.name)) || deleted.contains(std::string(kept.name))) {
        continue;
      }
      // Nobody who works goes while one who does not stays.
      RC_ASSERT(!(gone.ready && !gone.node.empty() && gone.phase == PodPhase::kRunning &&
                  (!kept.ready || kept.node.empty() || kept.phase == PodPhase::kPending)));
    }
  }
}

// ---- The shell, against an API server in memory

class ReplicaSetControllerTest : public testing::Test {
 protected:
  void Put(int64_t replicas) { world.api.Put(kSets, json::value(Set(replicas))); }
  int64_t Status(std::string_view field) {
    return IntAt(*world.api.Stored(kSets, "default", "web"), {"status", field});
  }
  ControllerWorld world;
  std::unique_ptr<ControllerManager> manager = world.Manage({"replicaset-controller"});
};

TEST_F(ReplicaSetControllerTest, KeepsTheNumber) {
  Put(5);
  world.Settle();
  EXPECT_EQ(world.ActivePods(), 5u);
  EXPECT_EQ(Status("readyReplicas"), 5);
  world.api.Erase(kPods, "default", NameOf(world.api.All(kPods)[0]));
  world.Settle();
  EXPECT_EQ(world.ActivePods(), 5u);
  Put(2);
  world.Settle();
  EXPECT_EQ(world.ActivePods(), 2u);
  EXPECT_EQ(Status("replicas"), 2);
  EXPECT_THAT(world.EventMessages(), Contains(HasSubstr("Created pod: web-")));
  EXPECT_THAT(world.EventMessages(), Contains(HasSubstr("Deleted pod: web-")));
}

TEST_F(ReplicaSetControllerTest, AnOldCacheMakesNoPodTwice) {
  Put(10);
  world.loop.RunUntilIdle();
  const size_t created = world.api.Count("create", "pods");
  EXPECT_EQ(created, 10u);
  world.api.HoldEvents(true);
  world.api.Erase(kPods, "default", NameOf(world.api.All(kPods)[0]));
  world.api.HoldEvents(false);
  world.loop.RunUntilIdle();
  EXPECT_EQ(world.api.Count("create", "pods"), 11u);
  // What was created is not seen; the set changes meanwhile and is looked at again and again.
  Put(20);
  world.loop.RunUntilIdle();
  world.api.HoldEvents(true);
  for (const json::object& pod : world.api.All(kPods)) {
    world.api.Erase(kPods, "default", NameOf(pod));
  }
  world.loop.Advance(std::chrono::seconds(100));
  world.api.HoldEvents(false);
  world.loop.Advance(std::chrono::seconds(100));
  EXPECT_EQ(world.ActivePods(), 20u);
}

TEST_F(ReplicaSetControllerTest, WhatIsRefusedIsNotAskedAThousandTimes) {
  world.api.fail = [](const FakeApi::Request& request) {
    return request.verb == "create" && request.resource.plural == "pods"
               ? Forbidden("pods", "", "exceeded quota")
               : absl::OkStatus();
  };
  Put(300);
  world.loop.RunUntilIdle();
  EXPECT_LE(world.api.Count("create", "pods"), 4u);
  world.loop.Advance(std::chrono::seconds(2));
  const json::object& set = *world.api.Stored(kSets, "default", "web");
  ASSERT_TRUE(ConditionIsTrue(set, "ReplicaFailure"));
  EXPECT_EQ(StringAt(*ConditionOf(set, "ReplicaFailure"), {"reason"}), "FailedCreate");
  world.api.fail = nullptr;
  world.Settle(100);
  EXPECT_EQ(world.ActivePods(), 300u);
  EXPECT_FALSE(ConditionIsTrue(*world.api.Stored(kSets, "default", "web"), "ReplicaFailure"));
}

TEST_F(ReplicaSetControllerTest, AnotherManagerGoesOnWhereOneWasKilled) {
  Put(50);
  int calls = 0;
  world.api.fail_after = [&](const FakeApi::Request& request) {
    if (request.verb == "create" && ++calls == 20) world.loop.Post([this] { manager.reset(); });
    return absl::OkStatus();
  };
  world.loop.RunUntilIdle();
  EXPECT_EQ(manager, nullptr);
  world.api.fail_after = nullptr;
  manager = world.Manage({"replicaset-controller"});
  world.Settle();
  EXPECT_EQ(world.ActivePods(), 50u);
}

TEST_F(ReplicaSetControllerTest, LostAnswersLeaveNoPodTooMany) {
  int calls = 0;
  world.api.fail_after = [&](const FakeApi::Request& request) {
    return request.resource.plural == "pods" && ++calls % 3 == 0 ? Unavailable("lost")
                                                                 : absl::OkStatus();
  };
  Put(30);
  world.Settle(200);
  EXPECT_EQ(world.ActivePods(), 30u);
  Put(7);
  world.Settle(200);
  EXPECT_EQ(world.ActivePods(), 7u);
}

}  // namespace
}  // namespace keel::orchestrator
