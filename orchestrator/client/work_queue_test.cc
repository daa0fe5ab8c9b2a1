#include "orchestrator/client/work_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/manual_loop.h"

namespace keel::orchestrator {
namespace {

using testing::ElementsAre;
using Queue = WorkQueue<std::string>;

class WorkQueueTest : public testing::Test {
 protected:
  void Make(WorkQueueOptions options = {}) {
    queue =
        std::make_unique<Queue>(loop, options, [this](const std::string& key, Queue::Done done) {
          worked.push_back(key);
          pending.push_back(std::move(done));
        });
    queue->Resume();
  }
  void FinishAll(const absl::Status& status = absl::OkStatus()) {
    for (auto& done : std::exchange(pending, {})) done(status);
  }

  base::ManualLoop loop;
  std::unique_ptr<Queue> queue;
  std::vector<std::string> worked;
  std::vector<Queue::Done> pending;
};

TEST_F(WorkQueueTest, AKeyWaitsOnceHoweverOftenItWasAdded) {
  Make();
  queue->Add("a");
  queue->Add("b");
  queue->Add("a");
  EXPECT_THAT(worked, ElementsAre()) << "never inside Add";
  loop.RunUntilIdle();
  EXPECT_THAT(worked, ElementsAre("a", "b"));
}

TEST_F(WorkQueueTest, AKeyAddedWhileWorkedOnIsWorkedOnOnceMoreAfter) {
  Make();
  queue->Add("a");
  loop.RunUntilIdle();
  queue->Add("a");
  queue->Add("a");
  loop.RunUntilIdle();
  EXPECT_THAT(worked, ElementsAre("a"));
  FinishAll();
  loop.RunUntilIdle();
  EXPECT_THAT(worked, ElementsAre("a", "a"));
  FinishAll();
  loop.RunUntilIdle();
  EXPECT_EQ(worked.size(), 2u);
}

TEST_F(WorkQueueTest, AtMostSoManyAtOnce) {
  Make({.workers = 2});
  for (const char* key : {"a", "b", "c"}) queue->Add(key);
  loop.RunUntilIdle();
  EXPECT_EQ(worked.size(), 2u);
  EXPECT_EQ(queue->working(), 2u);
  EXPECT_EQ(queue->waiting(), 1u);
  FinishAll();
  loop.RunUntilIdle();
  EXPECT_EQ(worked.size(), 3u);
}

TEST_F(WorkQueueTest, FailuresComeBackLaterAndLater) {
  Make({.first_delay = std::chrono::milliseconds(10),
        .longest_delay = std::chrono::milliseconds(40)});
  queue->Add("a");
  std::vector<int64_t> at_ms;
  for (int i = 0; i < 400 && at_ms.size() < 6; ++i) {
    loop.RunUntilIdle();
    if (!pending.empty()) {
      at_ms.push_back(
          std::chrono::duration_cast<std::chrono::milliseconds>(loop.Now().time_since_epoch())
              .count());
      FinishAll(absl::UnavailableError("no"));
    }
    loop.Advance(std::chrono::milliseconds(1));
  }
  EXPECT_THAT(at_ms, ElementsAre(0, 10, 30, 70, 110, 150));
  loop.Advance(std::chrono::milliseconds(40));
  FinishAll();
  queue->Add("a");
  loop.RunUntilIdle();
  FinishAll(absl::UnavailableError("no"));
  const size_t before = worked.size();
  loop.Advance(std::chrono::milliseconds(10));
  EXPECT_EQ(worked.size(), before + 1) << "success forgets failures";
}

TEST_F(WorkQueueTest, NothingRunsWhilePausedOrAfterItsEnd) {
  Make();
  queue->Pause();
  queue->Add("a");
  queue->AddAfter("b", std::chrono::seconds(1));
  loop.Advance(std::chrono::seconds(2));
  EXPECT_THAT(worked, ElementsAre());
  queue->Resume();
  loop.RunUntilIdle();
  EXPECT_THAT(worked, ElementsAre("a", "b"));
  queue->AddAfter("c", std::chrono::seconds(1));
  queue.reset();
  FinishAll(absl::UnavailableError("late"));
  loop.Advance(std::chrono::seconds(5));
  EXPECT_EQ(worked.size(), 2u);
}

}  // namespace
}  // namespace keel::orchestrator
