// The shell against an API server in memory.
#include "orchestrator/scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/manual_loop.h"
#include "orchestrator/client/testing/fake_api.h"
#include "orchestrator/scheduler/testing/world.h"

namespace keel::orchestrator::sched {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

const Resource kPods{"", "v1", "pods"};
const Resource kNodes{"", "v1", "nodes"};
const Resource kEvents{"", "v1", "events"};

class SchedulerTest : public testing::Test {
 protected:
  void Start() {
    scheduler_ =
        std::make_unique<Scheduler>(api_, SchedulerOptions{.now = [this] { return api_.now(); }});
    scheduler_->Start();
    Run();
  }
  void Run(base::Duration time = milliseconds(100)) { loop_.Advance(time); }
  void Node(std::string_view name, std::string_view cpu = "4", std::string_view spec = "") {
    api_.Put(kNodes, json::value(World::NodeJson(
                         name, "", spec,
                         base::StrCat(R"("cpu":")", cpu, R"(","memory":"8Gi","pods":"110")"))));
  }
  void Pod(std::string_view name, std::string_view spec = "") {
    api_.Put(kPods, json::value(World::PodJson(name, spec, "")));
  }
  std::string NodeOf(std::string_view pod) {
    const json::object* stored = api_.Stored(kPods, "default", pod);
    return stored == nullptr ? "gone" : std::string(StringAt(*stored, {"spec", "nodeName"}));
  }
  std::string MessageOf(std::string_view pod) {
    for (const json::value& c :
         ArrayAt(*api_.Stored(kPods, "default", pod), {"status", "conditions"})) {
      if (StringAt(c, {"type"}) == "PodScheduled" && StringAt(c, {"status"}) == "False" &&
          StringAt(c, {"reason"}) == "Unschedulable") {
        return std::string(StringAt(c, {"message"}));
      }
    }
    return "";
  }
  std::vector<std::string> Events(std::string_view reason) {
    std::vector<std::string> out;
    for (const json::object& event : api_.All(kEvents)) {
      if (StringAt(event, {"reason"}) == reason) out.emplace_back(StringAt(event, {"message"}));
    }
    return out;
  }
  std::string Cpu(std::string_view cpu, int priority = 0) {
    return base::StrCat(R"("priority":)", priority, ",", World::Requests(cpu, "1Mi"));
  }

  base::ManualLoop loop_;
  FakeApi api_{loop_};
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, BindsPodsAndSaysSo) {
  Node("n1");
  Node("n2");
  Pod("before", Cpu("100m"));
  Start();
  Pod("after", Cpu("100m"));
  Run();
  EXPECT_THAT(NodeOf("before"), HasSubstr("n"));
  EXPECT_THAT(NodeOf("after"), HasSubstr("n"));
  EXPECT_NE(NodeOf("before"), NodeOf("after"));
  EXPECT_THAT(Events("Scheduled"),
              testing::Contains("Successfully assigned default/after to " + NodeOf("after")));
  EXPECT_EQ(scheduler_->metrics().bound(), 2u);
  const std::string metrics = scheduler_->MetricsText(true);
  EXPECT_THAT(metrics, HasSubstr("scheduler_schedule_attempts_total{profile=\"default-scheduler\","
                                 "result=\"scheduled\"} 2\n"));
  EXPECT_THAT(metrics, HasSubstr("scheduler_cache_size{type=\"assumed_pods\"} 0\n"));
  EXPECT_THAT(metrics, HasSubstr("scheduler_pending_pods{queue=\"active\"} 0\n"));
}

TEST_F(SchedulerTest, LeavesAloneWhatIsNotItsOwn) {
  Node("n1");
  Pod("other", R"("schedulerName":"my-scheduler")");
  Pod("gated", R"("schedulingGates":[{"name":"g"}])");
  Pod("static", R"("nodeName":"n9")");
  Start();
  EXPECT_EQ(NodeOf("other"), "");
  EXPECT_EQ(NodeOf("gated"), "");
  EXPECT_EQ(NodeOf("static"), "n9");
  api_.Edit(kPods, "default", "gated", [](json::object& pod) {
    Remove(pod, {"spec", "schedulingGates"});
  });
  Run();
  EXPECT_EQ(NodeOf("gated"), "n1");
}

TEST_F(SchedulerTest, TellsWhyAPodWaitsAndPlacesItOnceThereIsRoom) {
  Node("n1", "1");
  Node("n2", "4", R"("taints":[{"key":"k","value":"v","effect":"NoSchedule"}])");
  Start();
  Pod("big", Cpu("2"));
  Run();
  EXPECT_EQ(NodeOf("big"), "");
  const std::string why =
      "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}. "
      "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.";
  EXPECT_EQ(MessageOf("big"), why);
  EXPECT_THAT(Events("FailedScheduling"), testing::ElementsAre(why));
  // Its own status changed: no reason to try again.
  const size_t writes = api_.Count("patch", "pods");
  Run(seconds(30));
  EXPECT_EQ(api_.Count("patch", "pods"), writes);

  Node("n3", "1");
  Run(seconds(30));
  EXPECT_EQ(NodeOf("big"), "");
  Node("n4", "2");
  Run(seconds(30));
  EXPECT_EQ(NodeOf("big"), "n4");
}

TEST_F(SchedulerTest, APodThatGoesMakesRoom) {
  Node("n1", "1");
  Start();
  Pod("first", Cpu("1"));
  Run();
  Pod("second", Cpu("1"));
  Run(seconds(2));
  EXPECT_EQ(NodeOf("second"), "");
  // One that has finished takes no room either.
  api_.Edit(kPods, "default", "first", [](json::object& pod) {
    *Ensure(pod, {"status", "phase"}) = "Succeeded";
  });
  Run(seconds(12));
  EXPECT_EQ(NodeOf("second"), "n1");
}

TEST_F(SchedulerTest, AFailedBindGivesThePlaceBackAndIsTriedAgain) {
  Node("n1", "1");
  bool fail = true;
  api_.fail = [&](const FakeApi::Request& r) {
    return fail && r.subresource == "binding" ? Unavailable("later") : absl::OkStatus();
  };
  Start();
  Pod("p", Cpu("1"));
  Run();
  EXPECT_EQ(NodeOf("p"), "");
  EXPECT_EQ(scheduler_->cluster().pod_count(), 0u);
  fail = false;
  Run(seconds(2));
  EXPECT_EQ(NodeOf("p"), "n1");
}

TEST_F(SchedulerTest, ALostAnswerToABindEndsWithOnePlace) {
  Node("n1", "4");
  bool fail = true;
  api_.fail_after = [&](const FakeApi::Request& r) {
    return fail && r.subresource == "binding" ? Unavailable("lost") : absl::OkStatus();
  };
  Start();
  Pod("p", Cpu("1"));
  Run(seconds(20));
  EXPECT_EQ(NodeOf("p"), "n1");
  EXPECT_EQ(scheduler_->cluster().pod_count(), 1u);
  EXPECT_EQ(scheduler_->cluster().FindNode("n1")->requested.Get(kCpu), 1000);
  EXPECT_EQ(scheduler_->queue().size(SchedulingQueue::State::kBackoff), 0u);
}

TEST_F(SchedulerTest, CountsPodsWhoseWatchEventsAreLate) {
  Node("n1", "1");
  Node("n2", "1");
  Start();
  Pod("a", Cpu("1"));
  loop_.RunUntilIdle();
  api_.HoldEvents(true);
  Run();
  api_.HoldEvents(false);
  Pod("b", Cpu("1"));
  Pod("c", Cpu("1"));
  Run();
  EXPECT_NE(NodeOf("a"), NodeOf("b"));
  EXPECT_EQ(NodeOf("c"), "");
  EXPECT_NE(MessageOf("c"), "");
}

TEST_F(SchedulerTest, NeverOvercommitsWhateverFails) {
  for (int i = 0; i < 5; ++i) Node(base::StrCat("n", i), "2");
  int n = 0;
  api_.fail = [&](const FakeApi::Request& r) {
    return r.subresource == "binding" && ++n % 3 == 0 ? Unavailable("") : absl::OkStatus();
  };
  api_.fail_after = [&](const FakeApi::Request& r) {
    return r.subresource == "binding" && n % 7 == 0 ? Unavailable("") : absl::OkStatus();
  };
  Start();
  for (int i = 0; i < 14; ++i) Pod(base::StrCat("p", i), Cpu("1"));
  Run(seconds(60));
  std::map<std::string, int> on;
  for (int i = 0; i < 14; ++i) ++on[NodeOf(base::StrCat("p", i))];
  EXPECT_EQ(on[""], 4);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(on[base::StrCat("n", i)], 2);
}

TEST_F(SchedulerTest, PreemptsForAMoreImportantPod) {
  Node("n1", "2");
  Start();
  Pod("low", Cpu("1", 1));
  Pod("lowest", Cpu("1", 0));
  Run();
  ASSERT_EQ(NodeOf("lowest"), "n1");
  Pod("high", Cpu("1", 100));
  Run(milliseconds(500));
  EXPECT_EQ(NodeOf("lowest"), "gone");
  EXPECT_EQ(NodeOf("low"), "n1");
  Run(seconds(3));
  EXPECT_EQ(NodeOf("high"), "n1");
  EXPECT_THAT(Events("Preempted"), testing::SizeIs(1));
}

TEST_F(SchedulerTest, StartsAgainFromWhatIsThere) {
  Node("n1", "2");
  Start();
  Pod("a", Cpu("1"));
  Run();
  scheduler_.reset();
  Pod("b", Cpu("1"));
  Pod("c", Cpu("1"));
  Start();
  EXPECT_EQ(NodeOf("a"), "n1");
  EXPECT_EQ((NodeOf("b") == "n1") + (NodeOf("c") == "n1"), 1);
  // A watch that lost its history lists again, and finds what has gone meanwhile.
  api_.Erase(kPods, "default", "a");
  api_.Compact();
  api_.EndWatches(Expired("too old"));
  Run(seconds(60));
  EXPECT_EQ((NodeOf("b") == "n1") + (NodeOf("c") == "n1"), 2);
}

TEST_F(SchedulerTest, ANewPodOfTheSameNameDoesNotWaitForTheOldOnesPlace) {
  Node("n1", "1");
  Start();
  Pod("p", Cpu("1"));
  Run();
  ASSERT_EQ(NodeOf("p"), "n1");
  // All that the scheduler sees is a list with the new one in it.
  api_.HoldEvents(true);
  api_.Erase(kPods, "default", "p");
  json::object again = World::PodJson("p", Cpu("1"), "");
  *Ensure(again, {"metadata", "uid"}) = "another";
  api_.Put(kPods, json::value(again));
  api_.Compact();
  api_.EndWatches(Expired("too old"));
  api_.HoldEvents(false);
  Run(seconds(60));
  EXPECT_EQ(NodeOf("p"), "n1");
  EXPECT_EQ(scheduler_->cluster().FindNode("n1")->requested.Get(kCpu), 1000);
}

}  // namespace
}  // namespace keel::orchestrator::sched
