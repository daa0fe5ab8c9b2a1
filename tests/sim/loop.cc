#include "tests/sim/loop.h"

#include <algorithm>

namespace keel::sim {
namespace {

// What any task takes, at least and at most: enough to interleave the loops.
constexpr int64_t kTaskMin = 300;
constexpr int64_t kTaskMax = 4000;
constexpr int64_t kMillion = 1'000'000;

}  // namespace

Nanos SimClock::At(Nanos world_time) const {
  const Nanos passed = world_time - since_;
  return shown_ + passed + passed / kMillion * ppm_ + passed % kMillion * ppm_ / kMillion;
}

base::TimePoint SimClock::Now() const { return base::TimePoint(base::Duration(At(world_.now()))); }

Nanos SimClock::WhenShows(Nanos shown) const {
  const Nanos wanted = shown - shown_;
  if (wanted <= 0) return since_;
  const int64_t scale = kMillion + ppm_;
  Nanos at = since_ + wanted / scale * kMillion + wanted % scale * kMillion / scale;
  while (At(at) < shown) ++at;
  return at;
}

void SimClock::Rebase() {
  const Nanos now = world_.now();
  shown_ = At(now);
  since_ = now;
}

void SimClock::SetRate(int64_t ppm) {
  Rebase();
  ppm_ = ppm;
  for (SimLoop* loop : loops_) loop->ArmTimer();
}

void SimClock::JumpAhead(Nanos by) {
  Rebase();
  shown_ += by;
  for (SimLoop* loop : loops_) loop->ArmTimer();
}

SimLoop::SimLoop(World* world, SimClock* clock)
    : world_(*world), clock_(*clock), self_(std::make_shared<SimLoop*>(this)) {
  clock_.loops_.push_back(this);
}

SimLoop::~SimLoop() {
  Close();
  *self_ = nullptr;
  std::erase(clock_.loops_, this);
}

void SimLoop::Close() {
  closed_ = true;
  // What a task's destruction posts is dropped at once: the door is closed.
  while (!tasks_.empty() || !timers_.empty() || !due_.empty()) {
    const std::deque<Queued> tasks = std::exchange(tasks_, {});
    const auto timers = std::exchange(timers_, {});
    const auto due = std::exchange(due_, {});
  }
  timer_times_.clear();
}

void SimLoop::Post(base::Task task) {
  if (closed_) return;
  tasks_.push_back({world_.now(), std::move(task)});
  Wake();
}

void SimLoop::Wake() {
  if (wake_scheduled_ || tasks_.empty() || closed_) return;
  wake_scheduled_ = true;
  const Nanos delay = world_.random().Between(kTaskMin, kTaskMax);
  world_.At(std::max(tasks_.front().at + delay, free_at_), [self = self_] {
    if (*self != nullptr) (*self)->Run();
  });
}

void SimLoop::Run() {
  wake_scheduled_ = false;
  if (closed_ || tasks_.empty()) return;
  if (free_at_ > world_.now()) return Wake();
  base::Task task = std::move(tasks_.front().task);
  tasks_.pop_front();
  Enter([&] { task(); });
  task = nullptr;
  free_at_ = std::max(free_at_, world_.now());
  Wake();
}

void SimLoop::Enter(absl::FunctionRef<void()> task) {
  ++depth_;
  task();
  if (after_task_) after_task_();
  --depth_;
}

void SimLoop::Stall(Nanos until) { free_at_ = std::max(free_at_, until); }

base::TimerId SimLoop::After(base::Duration delay, base::Task task) {
  const base::TimerId id = next_timer_++;
  if (closed_) return id;
  const base::TimePoint at = Now() + std::max(delay, base::Duration::zero());
  timers_.emplace(std::pair(at, id), std::move(task));
  timer_times_.emplace(id, at);
  if (timers_.begin()->first.second == id) ArmTimer();
  return id;
}

void SimLoop::Cancel(base::TimerId id) {
  const auto it = timer_times_.find(id);
  if (it == timer_times_.end()) return;
  const auto key = std::pair(it->second, id);
  timer_times_.erase(it);
  timers_.erase(key);
  due_.erase(id);
}

void SimLoop::ArmTimer() {
  if (timers_.empty() || closed_) return;
  const Nanos shown = timers_.begin()->first.first.time_since_epoch().count();
  world_.At(clock_.WhenShows(shown), [self = self_, generation = ++timer_generation_] {
    if (*self != nullptr && (*self)->timer_generation_ == generation) (*self)->FireTimers();
  });
}

// A due timer becomes a task like any other; until that runs it can be cancelled.
void SimLoop::FireTimers() {
  const base::TimePoint now = Now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    const base::TimerId id = node.key().second;
    due_.emplace(id, std::move(node.mapped()));
    Post([this, id] {
      auto due = due_.extract(id);
      if (due.empty()) return;
      timer_times_.erase(id);
      due.mapped()();
    });
  }
  ArmTimer();
}

}  // namespace keel::sim
