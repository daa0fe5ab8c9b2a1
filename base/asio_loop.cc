#include "base/asio_loop.h"

#include <pthread.h>

#include <boost/asio/post.hpp>

#include "base/check.h"

namespace keel::base {

AsioLoop::AsioLoop(std::string name)
    : name_(std::move(name)), work_(boost::asio::make_work_guard(context_)) {}

AsioLoop::~AsioLoop() {
  Stop();
  // What a task holds may end a thread that posts until it has ended: all of this loop must
  // still be there for it.
  while (true) {
    std::vector<Task> left;
    {
      std::lock_guard lock(mu_);
      left.swap(posted_);
    }
    if (left.empty()) break;
  }
}

void AsioLoop::Start() {
  KEEL_CHECK(!thread_.joinable(), "loop ", name_, " started twice");
  thread_ = std::thread([this] { Run(); });
}

void AsioLoop::Run() {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  running_on_.store(std::this_thread::get_id());
  context_.run();
  running_on_.store(std::thread::id());
}

void AsioLoop::Stop() {
  context_.stop();
  if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
}

void AsioLoop::Post(Task task) {
  {
    std::lock_guard lock(mu_);
    posted_.push_back(std::move(task));
    if (drain_scheduled_) return;
    drain_scheduled_ = true;
  }
  boost::asio::post(context_, [this] { Drain(); });
}

void AsioLoop::Drain() {
  {
    std::lock_guard lock(mu_);
    draining_.swap(posted_);
    drain_scheduled_ = false;
  }
  for (Task& task : draining_) {
    if (context_.stopped()) break;
    std::move(task)();
  }
  draining_.clear();
}

bool AsioLoop::InLoop() const { return running_on_.load() == std::this_thread::get_id(); }

TimePoint AsioLoop::Now() const {
  return TimePoint(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

TimerId AsioLoop::After(Duration delay, Task task) {
  const TimerId id = next_timer_++;
  auto timer = std::make_unique<boost::asio::steady_timer>(context_, delay);
  timer->async_wait([this, id, task = std::move(task)](boost::system::error_code ec) mutable {
    // A cancelled timer is already out of the map, also when it had expired
    // and its handler was only waiting to run.
    if (ec || timers_.erase(id) == 0) return;
    std::move(task)();
  });
  timers_.emplace(id, std::move(timer));
  return id;
}

void AsioLoop::Cancel(TimerId id) { timers_.erase(id); }

}  // namespace keel::base
