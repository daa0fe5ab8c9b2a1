#include "orchestrator/node/pod_manager.h"

#include <gtest/gtest.h>

#include "base/manual_loop.h"
#include "orchestrator/client/testing/fake_api.h"
#include "orchestrator/node/hollow_runtime.h"

namespace keel::orchestrator {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const Resource kPods{"", "v1", "pods"};

class PodManagerTest : public testing::Test {
 protected:
  explicit PodManagerTest(NodeSetOptions options = {.count = 2}) : nodes_(std::move(options)) {
    hollow_.jitter = 0;
    StartAgent();
  }

  void StartAgent() {
    const auto now = [this] { return api_.now(); };
    runtime_ = std::make_unique<HollowRuntime>(loop_, hollow_, now);
    pods_ = std::make_unique<PodManager>(api_, nodes_, *runtime_, now, options_);
    pods_->Start([this] { synced_ = true; });
    loop_.RunUntilIdle();
  }

  void StopAgent() {
    pods_.reset();
    runtime_.reset();
    nodes_ = NodeSet(NodeSetOptions(nodes_.options()));
  }

  // A bound pod; `more` are members of its spec, `annotations` as JSON members.
  void Bind(const std::string& name, const std::string& more = "",
            const std::string& annotations = "", const std::string& node = "hollow-0") {
    api_.Put(kPods, R"({"metadata":{"name":")" + name +
                        R"(","namespace":"default","annotations":{)" + annotations +
                        R"(}},"spec":{"nodeName":")" + node + R"(",)" + more +
                        R"("containers":[{"name":"c","image":"nginx"}]},)"
                        R"("status":{"phase":"Pending"}})");
    loop_.RunUntilIdle();
  }
  void Pass(base::Duration time) { loop_.Advance(time); }

  json::object Get(const std::string& name) {
    const json::object* found = api_.Stored(kPods, "default", name);
    return found == nullptr ? json::object() : *found;
  }
  std::string Phase(const std::string& name) {
    return std::string(StringAt(Get(name), {"status", "phase"}));
  }
  std::string Condition(const std::string& name, std::string_view type) {
    const json::object pod = Get(name);
    for (const json::value& condition : ArrayAt(pod, {"status", "conditions"})) {
      if (StringAt(condition, {"type"}) == type)
        return std::string(StringAt(condition, {"status"}));
    }
    return "";
  }
  json::object Container(const std::string& name, size_t index = 0) {
    const json::object pod = Get(name);
    const json::array& all = ArrayAt(pod, {"status", "containerStatuses"});
    return index < all.size() ? all[index].get_object() : json::object();
  }
  void MarkDeleted(const std::string& name) {
    json::object pod = Get(name);  // Put, since the fake knows no grace and would remove it.
    *Ensure(pod, {"metadata", "deletionTimestamp"}) = "2023-11-14T22:13:50Z";
    *Ensure(pod, {"metadata", "deletionGracePeriodSeconds"}) = 30;
    api_.Put(kPods, pod);
    loop_.RunUntilIdle();
  }

  base::ManualLoop loop_;
  FakeApi api_{loop_};
  NodeSet nodes_;
  HollowOptions hollow_;
  PodManagerOptions options_;
  bool synced_ = false;
  std::unique_ptr<HollowRuntime> runtime_;
  std::unique_ptr<PodManager> pods_;
};

TEST_F(PodManagerTest, RunsABoundPodAfterTheStartDelayWithOneWrite) {
  EXPECT_TRUE(synced_);
  Bind("a");
  Pass(milliseconds(99));
  EXPECT_EQ(Phase("a"), "Pending");
  Pass(milliseconds(1));
  EXPECT_EQ(Phase("a"), "Running");
  for (const char* type :
       {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"}) {
    EXPECT_EQ(Condition("a", type), "True") << type;
  }
  const json::object pod = Get("a");
  EXPECT_EQ(StringAt(pod, {"status", "podIP"}), "10.128.0.2");
  EXPECT_EQ(StringAt(pod, {"status", "hostIP"}), nodes_.at(0).ip);
  EXPECT_FALSE(StringAt(pod, {"status", "startTime"}).empty());
  EXPECT_TRUE(BoolAt(Container("a"), {"ready"}));
  EXPECT_EQ(pods_->status_writes(), 1u);
  Pass(minutes(10));
  EXPECT_EQ(pods_->status_writes(), 1u);
}

TEST_F(PodManagerTest, LeavesPodsOfOtherNodesAlone) {
  Bind("a", "", "", "elsewhere");
  Pass(minutes(1));
  EXPECT_EQ(Phase("a"), "Pending");
  EXPECT_EQ(pods_->size(), 0u);
}

TEST_F(PodManagerTest, IsReadyOnlyAfterTheProbesDelay) {
  Bind("a", "", R"("keel.io/hollow-ready-seconds":"5")");
  Pass(seconds(1));
  EXPECT_EQ(Phase("a"), "Running");
  EXPECT_EQ(Condition("a", "Ready"), "False");
  Pass(seconds(5));
  EXPECT_EQ(Condition("a", "Ready"), "True");
  Bind("never", "", R"("keel.io/hollow-ready":"false")");
  Pass(minutes(5));
  EXPECT_EQ(Condition("never", "Ready"), "False");
}

TEST_F(PodManagerTest, PodsThatEndSucceedOrFailByTheirExitCode) {
  Bind("good", R"("restartPolicy":"Never",)");
  Bind("bad", R"("restartPolicy":"Never",)", R"("keel.io/hollow-exit-code":"3")");
  Bind("slow", R"("restartPolicy":"OnFailure",)", R"("keel.io/hollow-run-seconds":"60")");
  Pass(seconds(10));
  EXPECT_EQ(Phase("good"), "Succeeded");
  EXPECT_EQ(Phase("bad"), "Failed");
  EXPECT_EQ(Phase("slow"), "Running");
  const json::object end = Container("bad");
  EXPECT_EQ(IntAt(end, {"state", "terminated", "exitCode"}), 3);
  EXPECT_EQ(StringAt(end, {"state", "terminated", "reason"}), "Error");
  Pass(seconds(60));
  EXPECT_EQ(Phase("slow"), "Succeeded");
  EXPECT_EQ(nodes_.at(0).used.pods, 0);
  EXPECT_EQ(runtime_->pods(), 0u);
}

TEST_F(PodManagerTest, CrashesBackOffTwiceAsLongEachTime) {
  Bind("a", "", R"("keel.io/hollow-run-seconds":"1","keel.io/hollow-exit-code":"1")");
  Pass(milliseconds(100) + seconds(1));  // The first restart comes at once.
  EXPECT_EQ(IntAt(Container("a"), {"restartCount"}), 1);
  Pass(seconds(1));
  EXPECT_EQ(StringAt(Container("a"), {"state", "waiting", "reason"}), "CrashLoopBackOff");
  EXPECT_TRUE(StringAt(Container("a"), {"state", "waiting", "message"})
                  .starts_with("back-off 10s restarting failed container=c pod=a_default("));
  EXPECT_EQ(IntAt(Container("a"), {"lastState", "terminated", "exitCode"}), 1);
  EXPECT_EQ(Phase("a"), "Running");
  EXPECT_EQ(Condition("a", "Ready"), "False");
  Pass(seconds(9));
  EXPECT_EQ(IntAt(Container("a"), {"restartCount"}), 1);
  Pass(seconds(1));
  EXPECT_EQ(IntAt(Container("a"), {"restartCount"}), 2);
  Pass(seconds(1 + 19));
  EXPECT_EQ(IntAt(Container("a"), {"restartCount"}), 2);
  Pass(seconds(1));
  EXPECT_EQ(IntAt(Container("a"), {"restartCount"}), 3);
  Pass(minutes(60));
  const int64_t hour = IntAt(Container("a"), {"restartCount"});
  Pass(minutes(60));  // Every five minutes by now.
  EXPECT_NEAR(static_cast<double>(IntAt(Container("a"), {"restartCount"}) - hour), 12, 1);
}

TEST_F(PodManagerTest, InitContainersRunBeforeTheOthers) {
  Bind("a", R"("initContainers":[{"name":"i0","image":"b"},{"name":"i1","image":"b"}],)");
  Pass(seconds(1));
  EXPECT_EQ(Phase("a"), "Running");
  const json::object pod = Get("a");
  const json::array& inits = ArrayAt(pod, {"status", "initContainerStatuses"});
  ASSERT_EQ(inits.size(), 2u);
  for (const json::value& init : inits) {
    EXPECT_EQ(StringAt(init, {"state", "terminated", "reason"}), "Completed");
    EXPECT_TRUE(BoolAt(init, {"ready"}));
  }
  EXPECT_EQ(Condition("a", "Initialized"), "True");
}

TEST_F(PodManagerTest, DeletedPodsAreStoppedAndThenRemovedWithoutGrace) {
  Bind("a");
  Pass(seconds(1));
  api_.requests.clear();
  MarkDeleted("a");
  EXPECT_EQ(Phase("a"), "Running");
  Pass(milliseconds(100));
  EXPECT_TRUE(Get("a").empty());
  ASSERT_EQ(api_.Count("delete", "pods"), 1u);
  for (const FakeApi::Request& request : api_.requests) {
    if (request.verb != "delete") continue;
    EXPECT_EQ(IntAt(request.body, {"gracePeriodSeconds"}, -1), 0);
    EXPECT_FALSE(StringAt(request.body, {"preconditions", "uid"}).empty());
  }
  EXPECT_EQ(pods_->size(), 0u);
  EXPECT_EQ(runtime_->pods(), 0u);
  EXPECT_EQ(nodes_.at(0).used.pods, 0);
}

TEST_F(PodManagerTest, AStopNeverLastsLongerThanTheGracePeriod) {
  Bind("a", "", R"("keel.io/hollow-stop-seconds":"1000")");
  Pass(seconds(1));
  MarkDeleted("a");
  Pass(seconds(29));
  EXPECT_FALSE(Get("a").empty());
  Pass(seconds(1));
  EXPECT_TRUE(Get("a").empty());
}

TEST_F(PodManagerTest, WhoHoldsAFinalizerSeesHowADeletedPodEnded) {
  Bind("a", R"("restartPolicy":"Never",)", R"("keel.io/hollow-run-seconds":"1000")");
  api_.Edit(kPods, "default", "a", [](json::object& pod) {
    *Ensure(pod, {"metadata", "finalizers"}) = json::array{"batch.kubernetes.io/job-tracking"};
  });
  Pass(seconds(1));
  MarkDeleted("a");
  Pass(seconds(1));
  EXPECT_EQ(Phase("a"), "Failed");
  EXPECT_EQ(IntAt(Container("a"), {"state", "terminated", "exitCode"}), 143);
  EXPECT_EQ(api_.Count("delete", "pods"), 1u);
}

TEST_F(PodManagerTest, APodThatIsDeletedBeforeItStartedIsRemoved) {
  Bind("a");
  MarkDeleted("a");
  Pass(seconds(1));
  EXPECT_TRUE(Get("a").empty());
}

TEST_F(PodManagerTest, ANewPodOfTheSameNameIsAnother) {
  Bind("a");
  Pass(seconds(1));
  api_.HoldEvents(true);
  api_.Erase(kPods, "default", "a");
  Bind("a");
  api_.HoldEvents(false);
  loop_.RunUntilIdle();
  EXPECT_EQ(Phase("a"), "Pending");
  Pass(seconds(1));
  EXPECT_EQ(Phase("a"), "Running");
  EXPECT_EQ(pods_->size(), 1u);
  EXPECT_EQ(nodes_.at(0).used.pods, 1);
}

TEST_F(PodManagerTest, RefusesWhatDoesNotFit) {
  const std::string large =
      R"("initContainers":[{"name":"i","image":"b","resources":{"requests":{"cpu":"5"}}}],)";
  Bind("a", large);
  Bind("b", large);
  Bind("c", R"("nodeSelector":{"kubernetes.io/os":"plan9"},)");
  Pass(seconds(1));
  EXPECT_EQ(Phase("a"), "Running");
  EXPECT_EQ(Phase("b"), "Failed");
  EXPECT_EQ(StringAt(Get("b"), {"status", "reason"}), "OutOfcpu");
  EXPECT_EQ(StringAt(Get("b"), {"status", "message"}),
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 5000, used: 5000, "
            "capacity: 8000");
  EXPECT_EQ(StringAt(Get("c"), {"status", "reason"}), "NodeAffinity");
  MarkDeleted("a");
  Pass(seconds(1));
  Bind("d", large);
  Pass(seconds(1));
  EXPECT_EQ(Phase("d"), "Running");
}

TEST_F(PodManagerTest, ANewAgentTakesOverWhatRuns) {
  Bind("server");
  Bind("job", R"("restartPolicy":"Never",)", R"("keel.io/hollow-run-seconds":"100")");
  Bind("done", R"("restartPolicy":"Never",)");
  Pass(seconds(50));
  StopAgent();
  Bind("while-away");
  api_.requests.clear();
  StartAgent();
  EXPECT_EQ(pods_->running(), 2u);
  EXPECT_EQ(nodes_.at(0).used.pods, 3);
  Pass(seconds(1));
  EXPECT_EQ(Phase("while-away"), "Running");
  // Addresses of adopted pods are not given again.
  EXPECT_NE(StringAt(Get("while-away"), {"status", "podIP"}),
            StringAt(Get("server"), {"status", "podIP"}));
  EXPECT_EQ(IntAt(Container("server"), {"restartCount"}), 0);
  Pass(seconds(45));
  EXPECT_EQ(Phase("job"), "Running");
  Pass(seconds(10));
  EXPECT_EQ(Phase("job"), "Succeeded");
  EXPECT_EQ(Phase("done"), "Succeeded");
}

TEST_F(PodManagerTest, WritesAreRepeatedUntilTheyArrive) {
  int failures = 3;
  api_.fail = [&](const FakeApi::Request& request) {
    return request.verb == "patch" && failures-- > 0 ? Unavailable("no") : absl::OkStatus();
  };
  Bind("a");
  Pass(seconds(5));
  EXPECT_EQ(Phase("a"), "Running");
  EXPECT_LT(failures, 0);
}

TEST_F(PodManagerTest, SaysAgainWhatOthersOverwrote) {
  Bind("a");
  Pass(seconds(1));
  api_.Edit(kPods, "default", "a", [](json::object& pod) {  // The node was thought dead.
    for (json::value& condition : Ensure(pod, {"status", "conditions"})->as_array()) {
      if (StringAt(condition, {"type"}) == "Ready") *Ensure(condition, {"status"}) = "False";
    }
  });
  Pass(seconds(1));
  EXPECT_EQ(Condition("a", "Ready"), "True");
}

TEST_F(PodManagerTest, PodsOfANodeThatPlaysDeadStandStill) {
  Bind("a");
  Pass(seconds(1));
  nodes_.at(0).down = true;
  pods_->NodeChanged(0);
  MarkDeleted("a");
  Bind("b");
  Pass(minutes(5));
  EXPECT_FALSE(Get("a").empty());
  EXPECT_EQ(Phase("b"), "Pending");
  nodes_.at(0).down = false;
  pods_->NodeChanged(0);
  Pass(seconds(1));
  EXPECT_TRUE(Get("a").empty());
  EXPECT_EQ(Phase("b"), "Running");
}

class SlowPodsTest : public PodManagerTest {
 protected:
  SlowPodsTest() {
    StopAgent();
    hollow_.start_delay = seconds(2);
    options_.report_creating = true;
    StartAgent();
  }
};

TEST_F(SlowPodsTest, SayThatTheirContainersAreBeingCreated) {
  Bind("a");
  Pass(seconds(1));
  EXPECT_EQ(Phase("a"), "Pending");
  EXPECT_EQ(StringAt(Container("a"), {"state", "waiting", "reason"}), "ContainerCreating");
  EXPECT_EQ(Condition("a", "Ready"), "False");
  Pass(seconds(1));
  EXPECT_EQ(Phase("a"), "Running");
}

class FailingPodsTest : public PodManagerTest {
 protected:
  FailingPodsTest() : PodManagerTest({.count = 10}) {
    StopAgent();
    hollow_.failure_rate = 0.3;
    StartAgent();
  }
};

TEST_F(FailingPodsTest, FailAsOftenAsTheyAreTold) {
  for (int i = 0; i < 300; ++i) {
    Bind("p" + std::to_string(i), R"("restartPolicy":"Never",)", "",
         "hollow-" + std::to_string(i % 10));
  }
  Pass(minutes(1));
  int failed = 0;
  for (int i = 0; i < 300; ++i) failed += Phase("p" + std::to_string(i)) == "Failed";
  EXPECT_GT(failed, 60);
  EXPECT_LT(failed, 120);
}

}  // namespace
}  // namespace keel::orchestrator
