// The seam between Keel and threads, timers and clocks.
//
// A Loop runs tasks one at a time, in the order they were posted. Components
// are built on a Loop& and never start threads or read clocks themselves, so
// that the same code runs on AsioLoop in production and on a virtual-time
// loop in the simulator. Two components may share one Loop (a hand-over
// between them is then a plain call, see Dispatch) or have one each.
//
//   loop.Post([this] { Flush(); });
//   TimerId t = loop.After(std::chrono::milliseconds(100), [this] { Tick(); });
//
// Thread-safety: Post, Dispatch, InLoop and Now may be called from any thread.
// After and Cancel may be called only from the loop itself (InLoop()).
#pragma once

#include <chrono>
#include <cstdint>

#include "absl/functional/any_invocable.h"

namespace keel::base {

using Duration = std::chrono::nanoseconds;

// Monotonic time since an arbitrary start (of the machine or the simulation).
// Not comparable between machines.
struct MonotonicClock {
  using rep = int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock, Duration>;
  static constexpr bool is_steady = true;
};
using TimePoint = MonotonicClock::time_point;

using Task = absl::AnyInvocable<void()>;
using TimerId = uint64_t;  // 0 is never a valid id.

class Loop {
 public:
  virtual ~Loop() = default;

  // Runs `task` later on this loop, after everything posted before. Never
  // blocks, never runs `task` inside the call.
  virtual void Post(Task task) = 0;

  // Runs `task` at once when called on this loop, else as Post.
  void Dispatch(Task task) {
    if (InLoop()) {
      task();
    } else {
      Post(std::move(task));
    }
  }

  // Whether the caller is running on this loop.
  virtual bool InLoop() const = 0;

  virtual TimePoint Now() const = 0;

  // Runs `task` once, not before `delay` has passed. REQUIRES: InLoop().
  virtual TimerId After(Duration delay, Task task) = 0;

  // Forgets a timer; no effect if it ran, was cancelled, or is 0.
  // REQUIRES: InLoop().
  virtual void Cancel(TimerId id) = 0;
};

}  // namespace keel::base
