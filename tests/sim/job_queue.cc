#include "tests/sim/job_queue.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace keel::sim {
namespace {

thread_local JobQueue* in_call = nullptr;

}  // namespace

JobQueue::~JobQueue() { KEEL_CHECK(queue_.empty() && running_ == 0, "queued=", queue_.size()); }

JobQueue* JobQueue::current() { return in_call; }

void JobQueue::Schedule(const Job& job) {
  const std::lock_guard lock(mutex_);
  const auto behind = std::find_if(queue_.begin(), queue_.end(),
                                   [&](const Job& other) { return other.priority < job.priority; });
  queue_.insert(behind, job);
}

int JobQueue::Unschedule(void* tag, int priority) {
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

void JobQueue::BeginCall() {
  KEEL_CHECK(in_call == nullptr || in_call == this);
  in_call = this;
  ++calls_;
}

void JobQueue::EndCall() {
  if (--calls_ == 0) in_call = nullptr;
}

void JobQueue::Pump() {
  KEEL_CHECK(calls_ == 0);
  backed_off_ = false;
  BeginCall();
  while (!backed_off_ && RunOne()) {
  }
  EndCall();
}

void JobQueue::BackOff() { backed_off_ |= running_ > 0; }

bool JobQueue::busy() const {
  const std::lock_guard lock(mutex_);
  return !queue_.empty();
}

bool JobQueue::RunOne() {
  Job job;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return false;
    job = queue_.front();
    queue_.pop_front();
  }
  ++running_;
  ++jobs_run_;
  job.run(job.argument);
  --running_;
  return true;
}

}  // namespace keel::sim

// The linker puts this in the place of pthread_cond_wait (--wrap, CMakeLists.txt) wherever
// code that is linked in calls it, RocksDB's among it.
extern "C" {
int __real_pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex);
int __wrap_pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  keel::sim::JobQueue* const jobs = keel::sim::JobQueue::current();
  if (jobs == nullptr) return __real_pthread_cond_wait(condition, mutex);
  pthread_mutex_unlock(mutex);
  const bool ran = jobs->RunOne();
  pthread_mutex_lock(mutex);
  if (ran) return 0;
  // Another thread's doing: RocksDB's timer's, or nobody's.
  timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_nsec += 1'000'000;
  if (until.tv_nsec >= 1'000'000'000) {
    until.tv_nsec -= 1'000'000'000;
    ++until.tv_sec;
  }
  pthread_cond_timedwait(condition, mutex, &until);
  return 0;
}
}
