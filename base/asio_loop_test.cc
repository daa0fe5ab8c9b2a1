#include "base/asio_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace keel::base {
namespace {

using std::chrono::milliseconds;

TEST(AsioLoopTest, RunsPostsInOrder) {
  AsioLoop loop("test");
  loop.Start();
  std::vector<int> seen;
  std::promise<void> done;
  for (int i = 0; i < 1000; ++i) loop.Post([&seen, i] { seen.push_back(i); });
  loop.Post([&] { done.set_value(); });
  done.get_future().wait();
  ASSERT_EQ(seen.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(seen[i], i);
}

TEST(AsioLoopTest, DispatchRunsAtOnceOnTheLoopOnly) {
  AsioLoop loop("test");
  loop.Start();
  EXPECT_FALSE(loop.InLoop());
  std::promise<bool> ran_inside;
  loop.Post([&] {
    bool ran = false;
    loop.Dispatch([&] { ran = true; });
    ran_inside.set_value(ran);
  });
  EXPECT_TRUE(ran_inside.get_future().get());
}

TEST(AsioLoopTest, TimersFireInOrderAndCancelledOnesDoNot) {
  AsioLoop loop("test");
  loop.Start();
  std::vector<int> seen;
  std::promise<void> done;
  loop.Post([&] {
    loop.After(milliseconds(20), [&] {
      seen.push_back(2);
      done.set_value();
    });
    loop.After(milliseconds(5), [&] { seen.push_back(1); });
    const TimerId cancelled = loop.After(milliseconds(1), [&] { seen.push_back(-1); });
    loop.Cancel(cancelled);
    loop.Cancel(cancelled);
    loop.Cancel(0);
  });
  done.get_future().wait();
  EXPECT_EQ(seen, (std::vector<int>{1, 2}));
}

TEST(AsioLoopTest, TimerCancelledByAnotherHandlerAfterItExpiredDoesNotRun) {
  AsioLoop loop("test");
  loop.Start();
  std::promise<void> done;
  bool ran = false;
  loop.Post([&] {
    const TimerId late = loop.After(milliseconds(1), [&] { ran = true; });
    std::this_thread::sleep_for(milliseconds(5));  // Both are expired when the loop looks again.
    loop.Cancel(late);
    loop.After(milliseconds(5), [&] { done.set_value(); });
  });
  done.get_future().wait();
  EXPECT_FALSE(ran);
}

TEST(AsioLoopTest, StopFromItsOwnThreadAndTwice) {
  AsioLoop loop("test");
  loop.Start();
  loop.Post([&] { loop.Stop(); });
  loop.Stop();
  loop.Stop();
}

TEST(AsioLoopTest, TasksThatNeverRanMayEndThreadsThatPost) {
  struct Poster {
    explicit Poster(AsioLoop* to)
        : thread([this, to] {
            while (!stop.load()) {
              to->Post([] {});
              std::this_thread::yield();
            }
          }) {}
    ~Poster() {
      stop = true;
      thread.join();
    }
    std::atomic<bool> stop{false};
    std::thread thread;
  };
  for (int i = 0; i < 20; ++i) {
    auto loop = std::make_unique<AsioLoop>("test");
    auto poster = std::make_shared<Poster>(loop.get());
    loop->Post([poster] {});
    poster.reset();
    loop.reset();
  }
}

}  // namespace
}  // namespace keel::base
