#include "orchestrator/controllers/job_reconcile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "orchestrator/controllers/job_indexes.h"
#include "orchestrator/controllers/testing/plan_world.h"

namespace keel::orchestrator {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Verb = Request::Verb;

json::object JobWith(std::string_view spec) {
  json::object job = ParseJson(R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j",
      "namespace":"d","uid":"ju"},"spec":{"template":{"metadata":{"labels":{"a":"b"}},
      "spec":{"containers":[{"name":"c"}],"restartPolicy":"Never"}}}})")
                         ->as_object();
  const json::value extra = *ParseJson(spec);
  for (const auto& [name, value] : extra.as_object()) {
    job["spec"].as_object()[name] = value;
  }
  return job;
}

class JobTest : public ::testing::Test {
 protected:
  Plan Reconcile() {
    return ReconcileJob({.job = job, .pods = world.PodPointers(), .now = world.now});
  }
  // Until nothing changes any more.
  void Settle() {
    for (int i = 0; i < 50; ++i) {
      Plan plan = Reconcile();
      if (plan.empty()) return;
      world.Apply(std::move(plan), job);
    }
    FAIL() << "does not settle: " << ToJson(job);
  }
  void SetAll(std::string_view phase) {
    for (json::object* pod : world.All("pods")) {
      const std::string_view now = StringAt(*pod, {"status", "phase"});
      if (now != "Succeeded" && now != "Failed") world.SetPhase(*pod, phase);
    }
  }
  std::string Reason(std::string_view condition) {
    const json::object* found = ConditionOf(job, condition);
    return found == nullptr ? "" : std::string(StringAt(*found, {"reason"}));
  }
  int64_t Status(std::string_view name) { return IntAt(job, {"status", name}); }

  PlanWorld world;
  json::object job = JobWith(R"({"completions":1,"parallelism":1})");
};

TEST_F(JobTest, RunsOnePodToItsEnd) {
  Settle();
  ASSERT_THAT(world.All("pods"), SizeIs(1));
  const json::object& pod = *world.All("pods")[0];
  EXPECT_EQ(StringAt(pod, {"metadata", "labels", "batch.kubernetes.io/job-name"}), "j");
  EXPECT_EQ(StringAt(pod, {"metadata", "labels", "job-name"}), "j");
  EXPECT_EQ(StringAt(pod, {"metadata", "labels", "a"}), "b");
  EXPECT_EQ(Status("active"), 1);
  EXPECT_EQ(StringAt(job, {"status", "startTime"}), TimeText(world.now));
  SetAll("Running");
  Settle();
  EXPECT_EQ(Status("ready"), 1);
  SetAll("Succeeded");
  world.now += absl::Seconds(5);
  Settle();
  EXPECT_EQ(Status("succeeded"), 1);
  EXPECT_EQ(Status("active"), 0);
  EXPECT_EQ(Reason("Complete"), "CompletionsReached");
  EXPECT_EQ(Reason("SuccessCriteriaMet"), "CompletionsReached");
  EXPECT_EQ(StringAt(job, {"status", "completionTime"}), TimeText(world.now));
  EXPECT_THAT(ArrayAt(*world.All("pods")[0], {"metadata", "finalizers"}), IsEmpty());
  EXPECT_THAT(world.notes, Contains(Note{false, "Completed", "Job completed"}));
  EXPECT_THAT(world.notes, Contains(Note{false, "SuccessfulCreate", "Created pod: j-1"}));
}

TEST_F(JobTest, CountsPodsThatAreDeletedAfterTheyEnded) {
  job = JobWith(R"({"completions":3,"parallelism":2})");
  for (int i = 0; i < 3; ++i) {
    Settle();
    SetAll("Succeeded");
    for (json::object* pod : world.All("pods")) {
      *Ensure(*pod, {"metadata", "deletionTimestamp"}) = TimeText(world.now);
    }
    Settle();
  }
  EXPECT_THAT(world.All("pods"), IsEmpty());
  EXPECT_EQ(Status("succeeded"), 3);
  EXPECT_TRUE(JobIsFinished(job));
}

TEST_F(JobTest, BacksOffBetweenFailuresAndGivesUp) {
  job = JobWith(R"({"completions":1,"parallelism":1,"backoffLimit":2})");
  Settle();
  SetAll("Failed");
  Settle();
  EXPECT_EQ(world.created, 1u);
  EXPECT_EQ(Reconcile().again, absl::Seconds(10));
  world.now += absl::Seconds(10);
  Settle();
  EXPECT_EQ(world.created, 2u);
  SetAll("Failed");
  Settle();
  EXPECT_EQ(Reconcile().again, absl::Seconds(20));
  world.now += absl::Seconds(20);
  Settle();
  SetAll("Failed");
  Settle();
  EXPECT_EQ(world.created, 3u);
  EXPECT_EQ(Status("failed"), 3);
  EXPECT_EQ(Reason("Failed"), "BackoffLimitExceeded");
  EXPECT_EQ(Reason("FailureTarget"), "BackoffLimitExceeded");
  EXPECT_FALSE(ConditionIsTrue(job, "Complete"));
}

TEST_F(JobTest, RestartsCountAgainstTheLimitOfOnFailure) {
  job = JobWith(R"({"completions":1,"parallelism":1,"backoffLimit":2})");
  *Ensure(job, {"spec", "template", "spec", "restartPolicy"}) = "OnFailure";
  Settle();
  SetAll("Running");
  json::object& pod = *world.All("pods")[0];
  *Ensure(pod, {"status", "containerStatuses"}) =
      json::array{json::object{{"name", "c"}, {"restartCount", 1}}};
  Settle();
  EXPECT_FALSE(ConditionIsTrue(job, "FailureTarget"));
  *Ensure(pod, {"status", "containerStatuses"}) =
      json::array{json::object{{"name", "c"}, {"restartCount", 2}}};
  Settle();
  EXPECT_EQ(Reason("Failed"), "BackoffLimitExceeded");
  EXPECT_THAT(world.All("pods"), IsEmpty());
}

TEST_F(JobTest, StopsAtItsDeadline) {
  job = JobWith(R"({"completions":1,"parallelism":1,"activeDeadlineSeconds":60})");
  Settle();
  EXPECT_EQ(Reconcile().again, absl::Seconds(60));
  *Ensure(*world.All("pods")[0], {"spec", "nodeName"}) = "n";
  world.now += absl::Seconds(60);
  Settle();
  EXPECT_EQ(Reason("FailureTarget"), "DeadlineExceeded");
  EXPECT_FALSE(JobIsFinished(job)) << "before its pods have ended";
  ASSERT_THAT(world.All("pods"), SizeIs(1));
  world.Gone(*world.All("pods")[0]);
  Settle();
  EXPECT_EQ(Reason("Failed"), "DeadlineExceeded");
  EXPECT_THAT(world.notes, Contains(Note{true, "DeadlineExceeded",
                                         "Job was active longer than specified deadline"}));
}

TEST_F(JobTest, SuspendsAndResumes) {
  job = JobWith(R"({"completions":2,"parallelism":2})");
  Settle();
  job["spec"].as_object()["suspend"] = true;
  Settle();
  EXPECT_THAT(world.All("pods"), IsEmpty());
  EXPECT_EQ(Reason("Suspended"), "JobSuspended");
  EXPECT_EQ(Find(job, {"status", "startTime"}), nullptr);
  EXPECT_EQ(Status("failed"), 0);
  world.now += absl::Hours(1);
  job["spec"].as_object()["suspend"] = false;
  Settle();
  EXPECT_THAT(world.All("pods"), SizeIs(2));
  EXPECT_EQ(Reason("Suspended"), "JobResumed");
  EXPECT_EQ(StringAt(job, {"status", "startTime"}), TimeText(world.now));
}

TEST_F(JobTest, ChangesItsParallelism) {
  job = JobWith(R"({"completions":10,"parallelism":5})");
  Settle();
  EXPECT_EQ(Status("active"), 5);
  job["spec"].as_object()["parallelism"] = 2;
  Settle();
  EXPECT_THAT(world.All("pods"), SizeIs(2));
  EXPECT_EQ(Status("failed"), 0);
}

TEST_F(JobTest, AWorkQueueEndsWithItsPods) {
  job = JobWith(R"({"parallelism":3})");
  Settle();
  ASSERT_THAT(world.All("pods"), SizeIs(3));
  world.SetPhase(*world.All("pods")[0], "Succeeded");
  Settle();
  EXPECT_FALSE(JobIsFinished(job));
  EXPECT_EQ(world.created, 3u);
  SetAll("Succeeded");
  Settle();
  EXPECT_TRUE(ConditionIsTrue(job, "Complete"));
  EXPECT_EQ(Status("succeeded"), 3);
}

TEST_F(JobTest, IndexedPodsKnowTheirIndex) {
  job = JobWith(R"({"completions":3,"parallelism":2,"completionMode":"Indexed"})");
  Settle();
  ASSERT_THAT(world.All("pods"), SizeIs(2));
  const json::object& pod = *world.All("pods")[1];
  EXPECT_EQ(StringAt(pod, {"metadata", "annotations", "batch.kubernetes.io/job-completion-index"}),
            "1");
  EXPECT_EQ(StringAt(pod, {"spec", "hostname"}), "j-1");
  EXPECT_EQ(StringAt(ArrayAt(ArrayAt(pod, {"spec", "containers"})[0], {"env"})[0], {"name"}),
            "JOB_COMPLETION_INDEX");
  world.SetPhase(*world.All("pods")[1], "Succeeded");
  world.SetPhase(*world.All("pods")[0], "Failed");
  Settle();
  EXPECT_EQ(StringAt(job, {"status", "completedIndexes"}), "1");
  world.now += absl::Seconds(30);
  Settle();
  SetAll("Succeeded");
  Settle();
  EXPECT_EQ(StringAt(job, {"status", "completedIndexes"}), "0-2");
  EXPECT_EQ(Status("succeeded"), 3);
  EXPECT_EQ(Status("failed"), 1);
  EXPECT_TRUE(ConditionIsTrue(job, "Complete"));
}

TEST_F(JobTest, FailurePolicyFailsAtOnceOrForgives) {
  job = JobWith(R"({"completions":1,"parallelism":1,"backoffLimit":1,"podFailurePolicy":{"rules":[
      {"action":"Ignore","onPodConditions":[{"type":"DisruptionTarget","status":"True"}]},
      {"action":"FailJob","onExitCodes":{"operator":"In","values":[42]}}]}})");
  for (int i = 0; i < 3; ++i) {
    Settle();
    for (json::object* pod : world.All("pods")) {
      if (StringAt(*pod, {"status", "phase"}) == "Failed") continue;
      world.SetPhase(*pod, "Failed");
      Find(*pod, {"status", "conditions"})
          ->get_array()
          .push_back(json::object{{"type", "DisruptionTarget"}, {"status", "True"}});
    }
    Settle();
    world.now += absl::Minutes(10);
  }
  Settle();
  EXPECT_EQ(Status("failed"), 0);
  EXPECT_FALSE(ConditionIsTrue(job, "FailureTarget"));
  for (json::object* pod : world.All("pods")) {
    if (StringAt(*pod, {"status", "phase"}) == "Failed") continue;
    world.SetPhase(*pod, "Failed");
    *Ensure(*pod, {"status", "containerStatuses"}) =
        *ParseJson(R"([{"name":"c","state":{"terminated":{"exitCode":42}}}])");
  }
  Settle();
  EXPECT_EQ(Reason("Failed"), "PodFailurePolicy");
  EXPECT_THAT(std::string(StringAt(*ConditionOf(job, "Failed"), {"message"})),
              ::testing::HasSubstr("failed with exit code 42 matching FailJob rule at index 1"));
}

TEST_F(JobTest, GoesWhenItIsOld) {
  job = JobWith(R"({"completions":1,"parallelism":1,"ttlSecondsAfterFinished":30})");
  Settle();
  SetAll("Succeeded");
  Settle();
  EXPECT_EQ(Reconcile().again, absl::Seconds(30));
  world.now += absl::Seconds(30);
  const Plan plan = Reconcile();
  ASSERT_THAT(plan.requests, SizeIs(1));
  EXPECT_EQ(plan.requests[0].verb, Verb::kDelete);
  EXPECT_EQ(plan.requests[0].resource, kJobRef);
  EXPECT_EQ(StringAt(plan.requests[0].body, {"propagationPolicy"}), "Foreground");
}

TEST(JobIndexes, TextAndBack) {
  EXPECT_EQ(IndexesText(IndexesOf("0-3,5,7-8,99", 10)), "0-3,5,7,8");
  EXPECT_EQ(IndexesText(IndexesOf("", 10)), "");
  EXPECT_EQ(IndexesText(IndexesOf("x,-1,2-,4", 10)), "4");
}

RC_GTEST_PROP(JobIndexesProperty, TextHoldsAll, (const std::vector<bool>& indexes)) {
  RC_ASSERT(IndexesOf(IndexesText(indexes), static_cast<int64_t>(indexes.size())) == indexes);
}

// Pods end in any way and order, the controller is killed after any of its requests: never more run
// than allowed, and in the end every success is counted once.
RC_GTEST_PROP(JobProperty, EndsWithRightCountsFromAnyHistory, (bool indexed)) {
  const int64_t completions = *rc::gen::inRange(1, 8);
  const int64_t parallelism = *rc::gen::inRange(1, 5);
  json::object job = JobWith(R"({"backoffLimit":1000000})");
  json::object& spec = job["spec"].as_object();
  spec["completions"] = completions;
  spec["parallelism"] = parallelism;
  if (indexed) spec["completionMode"] = "Indexed";
  PlanWorld world;
  for (int step = 0; step < 400 && !JobIsFinished(job); ++step) {
    const auto pods = world.All("pods");
    const int action = step > 250 ? 0 : *rc::gen::inRange(0, 5);
    if (action >= 2 && !pods.empty()) {
      json::object& pod = *pods[*rc::gen::inRange<size_t>(0, pods.size())];
      const std::string_view phase = StringAt(pod, {"status", "phase"});
      if (phase == "Succeeded" || phase == "Failed") continue;
      if (action == 2) world.SetPhase(pod, "Failed");
      if (action == 3) {
        *Ensure(pod, {"metadata", "deletionTimestamp"}) = TimeText(world.now);
      }
      if (action == 4) world.SetPhase(pod, "Succeeded");
    } else {
      if (step > 250) {
        for (json::object* pod : pods) {
          if (StringAt(*pod, {"status", "phase"}) == "Pending") world.SetPhase(*pod, "Succeeded");
        }
      }
      world.now += absl::Seconds(step > 250 ? 700 : *rc::gen::inRange(0, 700));
      Plan plan = ReconcileJob({.job = job, .pods = world.PodPointers(), .now = world.now});
      const size_t limit = step > 250 ? SIZE_MAX : *rc::gen::inRange<size_t>(0, 12);
      world.Apply(std::move(plan), job, limit);
    }
    int64_t active = 0;
    for (const PodInfo* pod : world.PodPointers()) active += pod->active();
    RC_ASSERT(active <= parallelism);
  }
  RC_ASSERT(ConditionIsTrue(job, "Complete"));
  RC_ASSERT(IntAt(job, {"status", "active"}) == 0);
  RC_ASSERT(IntAt(job, {"status", "succeeded"}) >= completions);
  if (indexed) RC_ASSERT(IntAt(job, {"status", "succeeded"}) == completions);
  RC_ASSERT(ObjectAt(job, {"status", "uncountedTerminatedPods"}).empty());
  world.Apply(ReconcileJob({.job = job, .pods = world.PodPointers(), .now = world.now}), job);
  for (const PodInfo* pod : world.PodPointers()) RC_ASSERT(pod->finalizers.empty());
}

}  // namespace
}  // namespace keel::orchestrator
