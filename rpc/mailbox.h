// How other threads reach a loop's calls: operations queue up under a lock, and
// one wake-up of the loop works off all that came until then.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/asio_loop.h"

namespace keel::rpc::internal {

// Thread-safe. After Close it takes nothing and no longer touches the loop, so
// that calls may outlive both.
template <typename Op>
class Mailbox : public std::enable_shared_from_this<Mailbox<Op>> {
 public:
  using Handler = void (*)(Op& op);

  // `handle` runs on the loop for each operation, in the order of their posts.
  Mailbox(base::AsioLoop& loop, Handler handle) : loop_(loop), handle_(handle) {}

  // Takes `op`, or leaves it alone and returns false when closed.
  bool Post(Op& op) {
    std::lock_guard lock(mu_);
    if (closed_) return false;
    ops_.push_back(std::move(op));
    ScheduleDrain();
    return true;
  }

  void PostTask(base::Task task) {
    // A refused task is destroyed after the lock is released: it is a parameter.
    std::lock_guard lock(mu_);
    if (closed_) return;
    tasks_.push_back(std::move(task));
    ScheduleDrain();
  }

  // Returns the operations that were not handled. (Destroying them may post, so
  // not under the lock.)
  std::vector<Op> Close() {
    std::vector<base::Task> tasks;
    std::lock_guard lock(mu_);
    closed_ = true;
    tasks.swap(tasks_);
    return std::exchange(ops_, {});
  }

  // Whether the caller is known to be on the loop. Asks nothing of the loop,
  // which may be gone.
  bool InLoop() const {
    return loop_thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
  }
  // Makes the loop's thread known. Called on it.
  void EnterLoop() { loop_thread_.store(std::this_thread::get_id(), std::memory_order_relaxed); }

 private:
  void ScheduleDrain() {
    if (scheduled_) return;
    scheduled_ = true;
    // Under the lock, so that Close comes before or after it: the loop is there.
    loop_.Post([self = this->shared_from_this()] { self->Drain(); });
  }

  void Drain() {
    EnterLoop();
    std::vector<base::Task> tasks;
    {
      std::lock_guard lock(mu_);
      draining_.swap(ops_);
      tasks.swap(tasks_);
      scheduled_ = false;
    }
    for (Op& op : draining_) handle_(op);
    draining_.clear();
    for (base::Task& task : tasks) std::move(task)();
  }

  base::AsioLoop& loop_;
  const Handler handle_;
  std::atomic<std::thread::id> loop_thread_{};
  std::mutex mu_;
  std::vector<Op> ops_;            // guarded by mu_
  std::vector<base::Task> tasks_;  // guarded by mu_
  bool scheduled_ = false;         // guarded by mu_
  bool closed_ = false;            // guarded by mu_
  std::vector<Op> draining_;       // of Drain, kept for its capacity
};

}  // namespace keel::rpc::internal
