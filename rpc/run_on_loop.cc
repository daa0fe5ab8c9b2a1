#include "rpc/run_on_loop.h"

#include <condition_variable>
#include <memory>
#include <mutex>

namespace keel::rpc::internal {

void RunOnLoop(base::AsioLoop& loop, const std::function<void()>& task) {
  if (loop.InLoop()) return task();
  struct State {
    std::mutex mu;
    std::condition_variable changed;
    bool claimed = false;
    bool done = false;
  };
  const auto state = std::make_shared<State>();
  const auto claim = [state] {
    std::lock_guard lock(state->mu);
    return !std::exchange(state->claimed, true);
  };
  loop.Post([state, claim, &task] {
    if (!claim()) return;
    task();
    std::lock_guard lock(state->mu);
    state->done = true;
    state->changed.notify_all();
  });
  std::unique_lock lock(state->mu);
  while (!state->done) {
    state->changed.wait_for(lock, std::chrono::milliseconds(20));
    // A loop stopped before it came to the task never will.
    if (!state->done && !state->claimed && loop.context().stopped()) {
      state->claimed = true;
      lock.unlock();
      return task();
    }
  }
}

}  // namespace keel::rpc::internal
