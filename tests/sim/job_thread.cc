#include "tests/sim/job_thread.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/check.h"

namespace keel::sim {
namespace {

constexpr useconds_t kLookAgain = 10;  // microseconds

// Whether a thread sleeps in pthread_cond_wait: that is a private FUTEX_WAIT_BITSET, while a
// contended mutex sleeps in FUTEX_WAIT and pthread_join on a shared futex. The kernel says
// "running" of one that is being woken.
bool WaitsOnCondition(pid_t thread) {
  char path[64], text[128];
  std::snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", thread);
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  KEEL_CHECK(fd >= 0, "cannot open ", path);
  const ssize_t got = ::read(fd, text, sizeof(text) - 1);
  ::close(fd);
  KEEL_CHECK(got > 0, "cannot read ", path);
  text[got] = '\0';
  long number = -1;
  unsigned long address = 0, operation = 0;
  if (std::sscanf(text, "%ld %lx %lx", &number, &address, &operation) != 3) return false;
  return number == SYS_futex && (operation & FUTEX_PRIVATE_FLAG) != 0 &&
         (operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
}

}  // namespace

JobThread::JobThread() : thread_([this] { Run(); }) {}

JobThread::~JobThread() {
  {
    const std::lock_guard lock(mutex_);
    KEEL_CHECK(queue_.empty() && !running_, "queued=", queue_.size());
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void JobThread::Schedule(const Job& job) {
  {
    const std::lock_guard lock(mutex_);
    const auto behind = std::find_if(queue_.begin(), queue_.end(), [&](const Job& other) {
      return other.priority < job.priority;
    });
    queue_.insert(behind, job);
  }
  wake_.notify_one();
}

int JobThread::Unschedule(void* tag, int priority) {
  std::vector<Job> gone;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(queue_, [&](const Job& job) {
      if (job.tag != tag || job.priority != priority) return false;
      gone.push_back(job);
      return true;
    });
  }
  for (const Job& job : gone) {
    if (job.unscheduled != nullptr) job.unscheduled(job.argument);
  }
  return static_cast<int>(gone.size());
}

void JobThread::BeginCall() {
  {
    const std::lock_guard lock(mutex_);
    if (++calls_ > 1) return;
    caller_ = static_cast<pid_t>(::syscall(SYS_gettid));
    if (queue_.empty()) return;
  }
  wake_.notify_one();
}

void JobThread::EndCall() {
  std::unique_lock lock(mutex_);
  if (--calls_ > 0) return;
  caller_ = 0;
  idle_.wait(lock, [&] { return !running_; });
}

void JobThread::Pump() {
  std::unique_lock lock(mutex_);
  KEEL_CHECK(calls_ == 0 && !pumping_);
  if (queue_.empty()) return;
  pumping_ = true;
  backed_off_ = false;
  wake_.notify_one();
  idle_.wait(lock, [&] { return !running_ && (queue_.empty() || backed_off_); });
  pumping_ = false;
}

void JobThread::BackOff() {
  const std::lock_guard lock(mutex_);
  if (std::this_thread::get_id() == thread_.get_id()) backed_off_ = true;
}

bool JobThread::busy() const {
  const std::lock_guard lock(mutex_);
  return !queue_.empty();
}

uint64_t JobThread::jobs_run() const {
  const std::lock_guard lock(mutex_);
  return jobs_run_;
}

void JobThread::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] {
      const bool may_run = pumping_ ? !backed_off_ : caller_ != 0;
      return stopping_ || (!queue_.empty() && may_run);
    });
    if (stopping_) return;
    if (!pumping_) {
      const pid_t caller = caller_;
      lock.unlock();
      const bool waits = WaitsOnCondition(caller);
      if (!waits) ::usleep(kLookAgain);
      lock.lock();
      if (!waits || caller_ != caller || queue_.empty()) continue;
    }
    const Job job = queue_.front();
    queue_.pop_front();
    running_ = true;
    ++jobs_run_;
    lock.unlock();
    job.run(job.argument);
    lock.lock();
    running_ = false;
    idle_.notify_all();
  }
}

}  // namespace keel::sim
