#include "orchestrator/controllers/cron_job_reconcile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "orchestrator/controllers/testing/plan_world.h"

namespace keel::orchestrator {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CronJobTest : public ::testing::Test {
 protected:
  void SetUp() override { world.now = TimeOf("2026-11-23T07:00:30Z"); }

  Plan Reconcile() {
    std::vector<const json::object*> jobs;
    for (json::object* job : world.All("jobs")) jobs.push_back(job);
    return ReconcileCronJob({.cron_job = cron_job, .jobs = jobs, .now = world.now});
  }
  void Run(int times = 1) {
    for (int i = 0; i < times; ++i) world.Apply(Reconcile(), cron_job);
  }
  void Finish(json::object& job, std::string_view type) {
    *Ensure(job, {"status", "conditions"}) = json::array{json::object{
        {"type", type}, {"status", "True"}, {"lastTransitionTime", TimeText(world.now)}}};
    *Ensure(job, {"status", "startTime"}) = TimeText(world.now);
    if (type == "Complete") *Ensure(job, {"status", "completionTime"}) = TimeText(world.now);
  }
  json::object& spec() { return cron_job["spec"].as_object(); }

  PlanWorld world;
  json::object cron_job = ParseJson(R"({"metadata":{"name":"c","namespace":"d","uid":"cu",
      "creationTimestamp":"2026-11-23T07:00:30Z"},"spec":{"schedule":"*/5 * * * *",
      "jobTemplate":{"metadata":{"labels":{"a":"b"}},"spec":{"x":1}}}})")
                              ->as_object();
};

TEST_F(CronJobTest, StartsAJobWhenItIsDue) {
  const Plan early = Reconcile();
  EXPECT_TRUE(early.empty());
  EXPECT_EQ(early.again, absl::Seconds(270) + absl::Milliseconds(100));
  world.now = TimeOf("2026-11-23T07:05:00Z");
  Run(3);
  ASSERT_THAT(world.All("jobs"), SizeIs(1));
  const json::object& job = *world.All("jobs")[0];
  EXPECT_EQ(NameOf(job), "c-29923625");
  EXPECT_EQ(StringAt(job, {"metadata", "labels", "a"}), "b");
  EXPECT_EQ(
      StringAt(job, {"metadata", "annotations", "batch.kubernetes.io/cronjob-scheduled-timestamp"}),
      "2026-11-23T07:05:00Z");
  EXPECT_EQ(IntAt(job, {"spec", "x"}), 1);
  EXPECT_EQ(StringAt(cron_job, {"status", "lastScheduleTime"}), "2026-11-23T07:05:00Z");
  EXPECT_THAT(ArrayAt(cron_job, {"status", "active"}), SizeIs(1));
  EXPECT_THAT(world.notes, Contains(Note{false, "SuccessfulCreate", "Created job c-29923625"}));
  Finish(*world.All("jobs")[0], "Complete");
  Run(2);
  EXPECT_THAT(ArrayAt(cron_job, {"status", "active"}), IsEmpty());
  EXPECT_EQ(StringAt(cron_job, {"status", "lastSuccessfulTime"}), "2026-11-23T07:05:00Z");
  EXPECT_THAT(world.notes, Contains(Note{false, "SawCompletedJob",
                                         "Saw completed job: c-29923625, condition: Complete"}));
}

TEST_F(CronJobTest, TakesTheLatestOfManyMissedTimes) {
  world.now = TimeOf("2026-11-25T07:07:00Z");
  Run(2);
  ASSERT_THAT(world.All("jobs"), SizeIs(1));
  EXPECT_EQ(StringAt(cron_job, {"status", "lastScheduleTime"}), "2026-11-25T07:05:00Z");
  EXPECT_EQ(world.notes[0].reason, "TooManyMissedTimes");
}

TEST_F(CronJobTest, LeavesWhatIsTooLate) {
  spec()["startingDeadlineSeconds"] = 30;
  world.now = TimeOf("2026-11-23T07:05:40Z");
  Run();
  EXPECT_THAT(world.All("jobs"), IsEmpty());
  EXPECT_THAT(world.notes,
              Contains(Note{true, "MissSchedule",
                            "Missed scheduled time to start a job: Mon, 23 Nov 2026 07:05:00 "
                            "+0000"}));
  world.now = TimeOf("2026-11-23T07:10:30Z");
  spec()["startingDeadlineSeconds"] = 31;
  Run();
  EXPECT_THAT(world.All("jobs"), SizeIs(1));
}

TEST_F(CronJobTest, ConcurrencyPolicies) {
  world.now = TimeOf("2026-11-23T07:05:00Z");
  Run(2);
  spec()["concurrencyPolicy"] = "Forbid";
  world.now = TimeOf("2026-11-23T07:10:00Z");
  Run(2);
  EXPECT_THAT(world.All("jobs"), SizeIs(1));
  EXPECT_EQ(world.notes.back().reason, "JobAlreadyActive");
  spec()["concurrencyPolicy"] = "Replace";
  Run(2);
  ASSERT_THAT(world.All("jobs"), SizeIs(1));
  EXPECT_EQ(NameOf(*world.All("jobs")[0]), "c-29923630");
  spec()["concurrencyPolicy"] = "Allow";
  world.now = TimeOf("2026-11-23T07:15:00Z");
  Run(2);
  EXPECT_THAT(world.All("jobs"), SizeIs(2));
  EXPECT_THAT(ArrayAt(cron_job, {"status", "active"}), SizeIs(2));
}

TEST_F(CronJobTest, KeepsAsMuchHistoryAsItIsTold) {
  spec()["failedJobsHistoryLimit"] = 0;
  for (int i = 1; i <= 6; ++i) {
    world.now = TimeOf("2026-11-23T07:00:00Z") + absl::Minutes(5 * i);
    Run(2);
    for (json::object* job : world.All("jobs")) {
      if (ArrayAt(*job, {"status", "conditions"}).empty()) {
        Finish(*job, i == 5 ? "Failed" : "Complete");
      }
    }
  }
  Run(2);
  std::vector<std::string> names;
  for (json::object* job : world.All("jobs")) names.emplace_back(NameOf(*job));
  EXPECT_THAT(names, ::testing::ElementsAre("c-29923635", "c-29923640", "c-29923650"));
}

TEST_F(CronJobTest, SaysWhatCannotBeRead) {
  spec()["schedule"] = "x";
  EXPECT_EQ(Reconcile().notes[0].reason, "UnparseableSchedule");
  spec()["timeZone"] = "Mars/Phobos";
  EXPECT_EQ(Reconcile().notes[0].reason, "UnknownTimeZone");
  spec()["suspend"] = true;
  EXPECT_TRUE(Reconcile().empty());
}

// Killed after any request, at any time, the schedule's minutes are served at most once, and the
// last one is served in the end.
RC_GTEST_PROP(CronJobProperty, ServesATimeOnce, ()) {
  json::object cron_job = ParseJson(R"({"metadata":{"name":"c","namespace":"d","uid":"cu",
      "creationTimestamp":"2026-11-23T07:00:30Z"},"spec":{"schedule":"*/2 * * * *",
      "successfulJobsHistoryLimit":1000,"jobTemplate":{"spec":{}}}})")
                              ->as_object();
  PlanWorld world;
  world.now = TimeOf("2026-11-23T07:00:30Z");
  const auto run = [&](size_t limit) {
    std::vector<const json::object*> jobs;
    for (json::object* job : world.All("jobs")) jobs.push_back(job);
    world.Apply(ReconcileCronJob({.cron_job = cron_job, .jobs = jobs, .now = world.now}), cron_job,
                limit);
  };
  for (int i = 0; i < 40; ++i) {
    world.now += absl::Seconds(*rc::gen::inRange(0, 200));
    run(*rc::gen::inRange<size_t>(0, 3));
  }
  run(SIZE_MAX);
  run(SIZE_MAX);
  const size_t created = world.created;
  RC_ASSERT(created == world.All("jobs").size());
  const absl::Time last = absl::FromUnixSeconds(absl::ToUnixSeconds(world.now) / 120 * 120);
  if (last > TimeOf("2026-11-23T07:00:30Z")) {
    RC_ASSERT(StringAt(cron_job, {"status", "lastScheduleTime"}) == TimeText(last));
    RC_ASSERT(ArrayAt(cron_job, {"status", "active"}).size() == created);
  }
}

}  // namespace
}  // namespace keel::orchestrator
