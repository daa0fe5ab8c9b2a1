// The one thread that runs RocksDB's background jobs, and when: see
// rocksdb_env.h.
//
// Thread-safety: Schedule and Unschedule from any thread; all else from the
// simulator's.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>

namespace keel::sim {

class JobThread {
 public:
  struct Job {
    void (*run)(void*) = nullptr;
    void* argument = nullptr;
    int priority = 0;  // the highest first
    void* tag = nullptr;
    void (*unscheduled)(void*) = nullptr;  // called instead of `run`; may be null
  };

  JobThread();
  ~JobThread();  // REQUIRES: nothing is queued.

  void Schedule(const Job& job);
  // Takes back what has not begun; how many that were.
  int Unschedule(void* tag, int priority);

  // Jobs run from now on whenever the calling thread waits on a condition variable. They nest.
  void BeginCall();
  // Returns when none runs.
  void EndCall();
  // Runs all that is queued, and what that queues, but no more once one has backed off.
  // REQUIRES: not in a call.
  void Pump();
  // The calling job waits for time to pass before it is tried again.
  void BackOff();

  bool busy() const;
  uint64_t jobs_run() const;

 private:
  void Run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<Job> queue_;
  uint64_t jobs_run_ = 0;
  int calls_ = 0;     // nested
  pid_t caller_ = 0;  // the thread in a call; 0: none
  bool pumping_ = false;
  bool backed_off_ = false;  // since Pump began
  bool running_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace keel::sim
