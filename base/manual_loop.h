// A Loop for tests: runs on the calling thread, when told, on a clock that
// moves only when told.
//
//   base::ManualLoop loop;
//   loop.Post(...);
//   loop.RunUntilIdle();
//   loop.Advance(std::chrono::milliseconds(100));   // due timers run
//
// One thread only.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "base/loop.h"

namespace keel::base {

class ManualLoop final : public Loop {
 public:
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  bool InLoop() const override { return true; }
  TimePoint Now() const override { return now_; }

  TimerId After(Duration delay, Task task) override {
    const TimerId id = next_id_++;
    timers_.emplace(std::pair(now_ + delay, id), std::move(task));
    return id;
  }

  void Cancel(TimerId id) override {
    for (auto it = timers_.begin(); it != timers_.end(); ++it) {
      if (it->first.second == id) {
        timers_.erase(it);
        return;
      }
    }
  }

  // Runs one task; false when there is none.
  bool RunOne() {
    if (next_ == running_.size()) {
      running_.clear();
      next_ = 0;
      running_.swap(tasks_);
      if (running_.empty()) return false;
    }
    Task task = std::move(running_[next_++]);
    task();
    return true;
  }

  void RunUntilIdle() {
    while (RunOne()) {
    }
  }

  // Moves the clock, running timers as they fall due and what they post.
  void Advance(Duration by) {
    const TimePoint end = now_ + by;
    RunUntilIdle();
    while (!timers_.empty() && timers_.begin()->first.first <= end) {
      auto node = timers_.extract(timers_.begin());
      now_ = std::max(now_, node.key().first);
      node.mapped()();
      RunUntilIdle();
    }
    now_ = end;
  }

 private:
  TimePoint now_{};
  TimerId next_id_ = 1;
  // Two lists that keep their memory: posting allocates nothing in a steady state.
  std::vector<Task> tasks_;    // posted since running_ was begun
  std::vector<Task> running_;  // from next_ on
  size_t next_ = 0;
  std::map<std::pair<TimePoint, TimerId>, Task> timers_;
};

}  // namespace keel::base
