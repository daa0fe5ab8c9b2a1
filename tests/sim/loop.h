// A member's clock, and the Loops that its parts run on.
//
//   SimClock clock(&world);
//   SimLoop main(&world, &clock), apply(&world, &clock);
//   clock.SetRate(200);          // runs 200 ppm fast from now on
//   main.Stall(world.now() + kSecond);
//
// Tasks of a loop keep their order; between loops the seed decides. The time
// that a task charges to the world delays its loop's next one.
//
// Lifetime: the world outlives both, the clock its loops. What a loop has
// scheduled when it is destroyed never runs.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "tests/sim/world.h"

namespace keel::sim {

class SimLoop;

// Monotonic: it may run fast or slow and jump ahead, as when a machine was
// suspended, but never back.
class SimClock {
 public:
  explicit SimClock(World* world, Nanos start = 0) : world_(*world), shown_(start) {}

  base::TimePoint Now() const;
  void SetRate(int64_t ppm);
  void JumpAhead(Nanos by);
  int64_t rate_ppm() const { return ppm_; }

 private:
  friend class SimLoop;
  Nanos At(Nanos world_time) const;
  // The first moment at which the clock shows `shown` or more.
  Nanos WhenShows(Nanos shown) const;
  void Rebase();

  World& world_;
  Nanos since_ = 0;  // world time at which it showed shown_
  Nanos shown_;
  int64_t ppm_ = 0;
  std::vector<SimLoop*> loops_;
};

class SimLoop final : public base::Loop {
 public:
  SimLoop(World* world, SimClock* clock);
  ~SimLoop() override;

  // ---- base::Loop
  void Post(base::Task task) override;
  bool InLoop() const override { return depth_ > 0; }
  base::TimePoint Now() const override { return clock_.Now(); }
  base::TimerId After(base::Duration delay, base::Task task) override;
  void Cancel(base::TimerId id) override;

  // Called after each task, for what it cost: disk operations, for instance.
  void set_after_task(base::Task task) { after_task_ = std::move(task); }
  // Nothing runs before this moment.
  void Stall(Nanos until);
  // Runs `task` now, as if it were one of the loop's.
  void Enter(absl::FunctionRef<void()> task);
  // Drops everything, and what comes later.
  void Close();

 private:
  friend class SimClock;
  struct Queued {
    Nanos at;  // not before
    base::Task task;
  };

  void Wake();
  void Run();
  void ArmTimer();
  void FireTimers();

  World& world_;
  SimClock& clock_;
  // Events on their way hold it; null when the loop is gone.
  const std::shared_ptr<SimLoop*> self_;
  bool closed_ = false;
  int depth_ = 0;
  Nanos free_at_ = 0;  // busy or stalled until then
  bool wake_scheduled_ = false;
  std::deque<Queued> tasks_;
  base::TimerId next_timer_ = 1;
  std::map<std::pair<base::TimePoint, base::TimerId>, base::Task> timers_;
  std::map<base::TimerId, base::TimePoint> timer_times_;
  std::map<base::TimerId, base::Task> due_;  // posted, not yet run
  uint64_t timer_generation_ = 0;
  base::Task after_task_;
};

}  // namespace keel::sim
