#include "orchestrator/controllers/workload_controllers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "orchestrator/controllers/testing/controller_rig.h"

namespace keel::orchestrator {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const Resource kJobs{"batch", "v1", "jobs"};
const Resource kCronJobs{"batch", "v1", "cronjobs"};
const Resource kDaemonSets{"apps", "v1", "daemonsets"};
const Resource kStatefulSets{"apps", "v1", "statefulsets"};
const Resource kRevisions{"apps", "v1", "controllerrevisions"};
const Resource kNodes{"", "v1", "nodes"};
const Resource kClaims{"", "v1", "persistentvolumeclaims"};

TEST(JobController, RunsAJobToItsEnd) {
  ControllerRig rig;
  JobController controller(rig.context);
  rig.Start(controller);
  rig.api.Put(kJobs, R"({"metadata":{"name":"j","namespace":"d"},"spec":{"completions":4,
      "parallelism":2,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c"}]}}}})");
  rig.Settle();
  ASSERT_THAT(rig.api.All(kPods), SizeIs(2));
  for (int i = 0; i < 4; ++i) {
    for (const json::object& pod : rig.api.All(kPods)) rig.SetPhase(pod, "Succeeded");
    rig.Settle();
  }
  const json::object& job = *rig.api.Stored(kJobs, "d", "j");
  EXPECT_TRUE(ConditionIsTrue(job, "Complete")) << ToJson(job);
  EXPECT_EQ(IntAt(job, {"status", "succeeded"}), 4);
  EXPECT_THAT(rig.api.All(kPods), SizeIs(4));
  for (const json::object& pod : rig.api.All(kPods)) {
    EXPECT_THAT(ArrayAt(pod, {"metadata", "finalizers"}), IsEmpty());
  }
  EXPECT_THAT(rig.Reasons("j"), Contains("SuccessfulCreate"));
  EXPECT_THAT(rig.Reasons("j"), Contains("Completed"));
}

TEST(JobController, CreatesNoMoreThanAskedFromAStaleCache) {
  ControllerRig rig;
  JobController controller(rig.context);
  rig.Start(controller);
  rig.api.Put(kJobs, R"({"metadata":{"name":"j","namespace":"d"},"spec":{"completions":4,
      "parallelism":2,"template":{"spec":{"containers":[{"name":"c"}]}}}})");
  rig.loop.RunUntilIdle();
  rig.api.HoldEvents(true);
  rig.Settle();
  rig.Settle(std::chrono::seconds(60));
  EXPECT_LE(rig.api.All(kPods).size(), 2u);
  rig.api.HoldEvents(false);
  rig.Settle();
  EXPECT_THAT(rig.api.All(kPods), SizeIs(2));
}

TEST(JobController, LetsPodsOfAJobThatIsGoneGo) {
  ControllerRig rig;
  // One whose job went while nobody looked.
  rig.api.Put(kPods, R"({"metadata":{"name":"old","namespace":"d","finalizers":
      ["batch.kubernetes.io/job-tracking","x/y"],"ownerReferences":[{"kind":"Job","name":"gone",
      "uid":"u9","controller":true}]}})");
  JobController controller(rig.context);
  rig.Start(controller);
  EXPECT_THAT(ArrayAt(*rig.api.Stored(kPods, "d", "old"), {"metadata", "finalizers"}), SizeIs(1));
  rig.api.Put(kJobs, R"({"metadata":{"name":"j","namespace":"d"},"spec":{
      "template":{"spec":{"containers":[{"name":"c"}]}}}})");
  rig.Settle();
  rig.api.Erase(kJobs, "d", "j");
  rig.Settle();
  for (const json::object& pod : rig.api.All(kPods)) {
    if (NameOf(pod) == "old") continue;
    EXPECT_THAT(ArrayAt(pod, {"metadata", "finalizers"}), IsEmpty());
  }
}

TEST(JobController, TriesAgainWhatWasRefused) {
  ControllerRig rig;
  JobController controller(rig.context);
  rig.Start(controller);
  bool refuse = true;
  rig.api.fail = [&](const FakeApi::Request& request) {
    return refuse && request.verb == "create" && request.resource.plural == "pods"
               ? Forbidden("pods", "x", "exceeded quota")
               : absl::OkStatus();
  };
  rig.api.Put(kJobs, R"({"metadata":{"name":"j","namespace":"d"},"spec":{"completions":3,
      "parallelism":3,"template":{"spec":{"containers":[{"name":"c"}]}}}})");
  rig.Settle();
  EXPECT_THAT(rig.api.All(kPods), IsEmpty());
  EXPECT_THAT(rig.Reasons("j"), Contains("FailedCreate"));
  EXPECT_NE(StringAt(*rig.api.Stored(kJobs, "d", "j"), {"status", "startTime"}), "");
  refuse = false;
  rig.Settle(std::chrono::seconds(60));
  EXPECT_THAT(rig.api.All(kPods), SizeIs(3));
}

TEST(CronJobController, StartsJobsByTheClock) {
  ControllerRig rig;
  CronJobController controller(rig.context);
  rig.Start(controller);
  rig.api.Put(kCronJobs, R"({"metadata":{"name":"c","namespace":"d"},"spec":{
      "schedule":"* * * * *","jobTemplate":{"spec":{"template":{}}}}})");
  rig.Settle(std::chrono::seconds(10));
  rig.Settle(std::chrono::minutes(3));
  EXPECT_EQ(rig.api.All(kJobs).size(), 3u);
  EXPECT_THAT(ArrayAt(*rig.api.Stored(kCronJobs, "d", "c"), {"status", "active"}), SizeIs(3));
}

TEST(DaemonSetController, FollowsNodes) {
  ControllerRig rig;
  rig.api.Put(kNodes, R"({"metadata":{"name":"n1"}})");
  rig.api.Put(kNodes, R"({"metadata":{"name":"n2"}})");
  DaemonSetController controller(rig.context);
  rig.Start(controller);
  rig.api.Put(kDaemonSets, R"({"metadata":{"name":"s","namespace":"d"},"spec":{
      "selector":{"matchLabels":{"a":"b"}},
      "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c"}]}}}})");
  rig.Settle();
  EXPECT_THAT(rig.api.All(kPods), SizeIs(2));
  EXPECT_THAT(rig.api.All(kRevisions), SizeIs(1));
  rig.api.Put(kNodes, R"({"metadata":{"name":"n3"}})");
  rig.Settle();
  EXPECT_THAT(rig.api.All(kPods), SizeIs(3));
  rig.RunAll();
  rig.Settle();
  EXPECT_EQ(IntAt(*rig.api.Stored(kDaemonSets, "d", "s"), {"status", "numberReady"}), 3);
  rig.api.Edit(kNodes, "", "n3", [](json::object& node) {
    *Ensure(node, {"spec", "taints"}) =
        json::array{json::object{{"key", "k"}, {"effect", "NoExecute"}}};
  });
  rig.Settle();
  EXPECT_THAT(rig.api.All(kPods), SizeIs(2));
}

TEST(StatefulSetController, StartsOneAfterTheOtherAndAdopts) {
  ControllerRig rig;
  StatefulSetController controller(rig.context);
  rig.Start(controller);
  // Left by a set that was deleted without its pods.
  rig.api.Put(kPods, R"({"metadata":{"name":"web-0","namespace":"d","labels":{"a":"b"}},
      "status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}})");
  rig.api.Put(kStatefulSets, R"({"metadata":{"name":"web","namespace":"d"},"spec":{"replicas":2,
      "updateStrategy":{"type":"OnDelete"},"selector":{"matchLabels":{"a":"b"}},
      "volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{}}],
      "template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c"}]}}}})");
  rig.Settle();
  EXPECT_EQ(ControllerInfoOf(*rig.api.Stored(kPods, "d", "web-0")).name, "web");
  EXPECT_THAT(rig.api.All(kPods), SizeIs(2));
  EXPECT_NE(rig.api.Stored(kClaims, "d", "data-web-1"), nullptr);
  rig.RunAll();
  rig.Settle();
  EXPECT_EQ(IntAt(*rig.api.Stored(kStatefulSets, "d", "web"), {"status", "readyReplicas"}), 2);
  EXPECT_THAT(rig.Reasons("web"), Contains("SuccessfulCreate"));
}

}  // namespace
}  // namespace keel::orchestrator
