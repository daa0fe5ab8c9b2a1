// The production Loop: one Boost.Asio io_context run by one thread.
//
//   base::AsioLoop loop("raft");
//   loop.Start();          // its own thread; or loop.Run() on the caller's
//   loop.Post([] { ... });
//   loop.Stop();           // finishes the running task, drops the rest, joins
//
// Network code takes the AsioLoop itself and uses context(); all else takes
// base::Loop&.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/loop.h"

namespace keel::base {

class AsioLoop final : public Loop {
 public:
  // `name` (at most 15 bytes) becomes the thread's name.
  explicit AsioLoop(std::string name);
  ~AsioLoop() override;  // Stops.

  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;

  // Runs the loop on a new thread. REQUIRES: neither Start nor Run was called.
  void Start();
  // Runs the loop on this thread until Stop.
  void Run();
  // Thread-safe and idempotent. Joins the thread of Start unless called on it.
  void Stop();

  void Post(Task task) override;
  bool InLoop() const override;
  TimePoint Now() const override;
  TimerId After(Duration delay, Task task) override;
  void Cancel(TimerId id) override;

  boost::asio::io_context& context() { return context_; }

 private:
  void Drain();

  const std::string name_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
  std::atomic<std::thread::id> running_on_{};

  // Posts from other threads: one wake-up for however many queue up meanwhile.
  std::mutex mu_;
  std::vector<Task> posted_;      // guarded by mu_
  bool drain_scheduled_ = false;  // guarded by mu_
  std::vector<Task> draining_;    // of Drain, kept for its capacity

  TimerId next_timer_ = 1;
  absl::flat_hash_map<TimerId, std::unique_ptr<boost::asio::steady_timer>> timers_;
};

}  // namespace keel::base
