// RocksDB's background jobs, run one at a time on the thread that waits for
// them: see rocksdb_env.h.
//
// Thread-safety: Schedule and Unschedule from any thread; all else from the
// simulator's.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>

namespace keel::sim {

class JobQueue {
 public:
  struct Job {
    void (*run)(void*) = nullptr;
    void* argument = nullptr;
    int priority = 0;  // the highest first
    void* tag = nullptr;
    void (*unscheduled)(void*) = nullptr;  // called instead of `run`; may be null
  };

  JobQueue() = default;
  ~JobQueue();  // REQUIRES: nothing is queued.
  JobQueue(const JobQueue&) = delete;
  JobQueue& operator=(const JobQueue&) = delete;

  void Schedule(const Job& job);
  // Takes back what has not begun; how many that were.
  int Unschedule(void* tag, int priority);

  // From BeginCall to EndCall a wait on a condition variable, by code of RocksDB's on this
  // thread, runs the next job to its end and then returns, as condition variables may. They
  // nest. REQUIRES: this thread is in no call on another queue.
  void BeginCall();
  void EndCall();
  // Runs all that is queued, and what that queues, but no more once one has backed off.
  // REQUIRES: not in a call.
  void Pump();
  // A job waits for time to pass before it is tried again.
  void BackOff();

  bool busy() const;
  uint64_t jobs_run() const { return jobs_run_; }

  // The queue whose call this thread is in; null: none.
  static JobQueue* current();
  // Runs the next job; false when there is none.
  bool RunOne();

 private:
  mutable std::mutex mutex_;
  std::deque<Job> queue_;  // guarded by mutex_; the rest is the simulator's
  uint64_t jobs_run_ = 0;
  int calls_ = 0;            // nested
  int running_ = 0;          // nested: a job that waits runs the next
  bool backed_off_ = false;  // since Pump began
};

}  // namespace keel::sim
