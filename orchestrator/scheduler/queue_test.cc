#include "orchestrator/scheduler/queue.h"

#include <gtest/gtest.h>

#include "orchestrator/scheduler/testing/world.h"

namespace keel::orchestrator::sched {
namespace {

using State = SchedulingQueue::State;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class QueueTest : public testing::Test {
 protected:
  PodPtr Pod(std::string_view name, int priority = 0, std::string_view rest = "") {
    return world_.Pod(name, base::StrCat(R"("priority":)", priority, rest));
  }
  std::string Pop() {
    const SchedulingQueue::Entry* entry = queue_.Pop(now_);
    return entry == nullptr ? "" : entry->pod->name;
  }
  void Fail(const std::string& name) {
    queue_.Unschedulable("default/" + name, std::make_shared<FitError>(), now_);
  }
  size_t Event(bool yes) {
    return queue_.OnEvent(now_, [&](const PodPtr&, const FitError&) {
      ++asked_;
      return yes;
    });
  }

  World world_;
  SchedulingQueue queue_;
  base::TimePoint now_{seconds(100)};
  int asked_ = 0;
};

TEST_F(QueueTest, PopsByPriorityThenAge) {
  queue_.Add(Pod("old"), now_);
  queue_.Add(Pod("young"), now_);
  queue_.Add(Pod("high", 10), now_);
  EXPECT_EQ(Pop(), "high");
  EXPECT_EQ(Pop(), "old");
  EXPECT_EQ(queue_.size(State::kInFlight), 2u);
  EXPECT_EQ(Pop(), "young");
  EXPECT_EQ(Pop(), "");
}

TEST_F(QueueTest, BacksOffTwiceAsLongUpToTenSeconds) {
  queue_.Add(Pod("p"), now_);
  for (int delay : {1, 2, 4, 8, 10, 10}) {
    ASSERT_EQ(Pop(), "p");
    queue_.Retry("default/p", now_);
    EXPECT_EQ(queue_.NextFlush(), now_ + seconds(delay));
    now_ += seconds(delay) - milliseconds(1);
    queue_.Flush(now_);
    EXPECT_EQ(Pop(), "");
    now_ += milliseconds(1);
    queue_.Flush(now_);
  }
}

TEST_F(QueueTest, WaitsForAnEventThatMayHelpThenForItsDelay) {
  queue_.Add(Pod("p"), now_);
  ASSERT_EQ(Pop(), "p");
  Fail("p");
  EXPECT_EQ(queue_.size(State::kUnschedulable), 1u);
  now_ += milliseconds(100);
  EXPECT_EQ(Event(false), 0u);
  EXPECT_EQ(Event(true), 1u);
  EXPECT_EQ(queue_.size(State::kBackoff), 1u);
  now_ += seconds(1);
  queue_.Flush(now_);
  ASSERT_EQ(Pop(), "p");
  Fail("p");
  now_ += seconds(3);
  EXPECT_EQ(Event(true), 1u);
  EXPECT_EQ(Pop(), "p");
}

TEST_F(QueueTest, AsksOncePerClass) {
  const auto error = std::make_shared<FitError>();
  for (int i = 0; i < 5; ++i) {
    const PodPtr pod = Pod(base::StrCat("p", i));
    queue_.Add(pod, now_);
    queue_.Pop(now_);
    queue_.Unschedulable(pod->Key(), error, now_);
  }
  now_ += seconds(20);
  EXPECT_EQ(Event(true), 5u);
  EXPECT_EQ(asked_, 1);
}

TEST_F(QueueTest, TriesAgainAfterFiveMinutesWhateverHappened) {
  queue_.Add(Pod("p"), now_);
  Pop();
  Fail("p");
  now_ += minutes(5);
  queue_.Flush(now_);
  EXPECT_EQ(Pop(), "p");
}

TEST_F(QueueTest, AChangeOfWhatDecidesWakesAPodAndOtherChangesDoNot) {
  queue_.Add(Pod("p"), now_);
  Pop();
  Fail("p");
  now_ += seconds(20);
  queue_.Add(Pod("p"), now_);
  EXPECT_EQ(Pop(), "");
  queue_.Add(Pod("p", 0, R"(,"nodeSelector":{"a":"b"})"), now_);
  EXPECT_EQ(Pop(), "p");
}

TEST_F(QueueTest, HoldsGatedPodsUntilTheLastGateGoes) {
  queue_.Add(Pod("p", 0, R"(,"schedulingGates":[{"name":"g"}])"), now_);
  EXPECT_EQ(Pop(), "");
  EXPECT_EQ(queue_.size(State::kGated), 1u);
  queue_.Add(Pod("p"), now_);
  EXPECT_EQ(Pop(), "p");
}

TEST_F(QueueTest, ForgetsRemovedPodsInEveryState) {
  for (const char* name : {"active", "waiting", "late", "flying"}) queue_.Add(Pod(name), now_);
  queue_.Add(Pod("gated", 0, R"(,"schedulingGates":[{"name":"g"}])"), now_);
  queue_.Remove("default/active");
  EXPECT_EQ(Pop(), "waiting");
  Fail("waiting");
  EXPECT_EQ(Pop(), "late");
  queue_.Retry("default/late", now_);
  EXPECT_EQ(Pop(), "flying");
  for (const char* name : {"waiting", "late", "flying", "gated"}) {
    queue_.Remove(base::StrCat("default/", name));
  }
  for (State s :
       {State::kActive, State::kBackoff, State::kUnschedulable, State::kGated, State::kInFlight}) {
    EXPECT_EQ(queue_.size(s), 0u);
  }
  EXPECT_EQ(Event(true), 0u);
  EXPECT_EQ(queue_.NextFlush(), base::TimePoint::max());
}

}  // namespace
}  // namespace keel::orchestrator::sched
