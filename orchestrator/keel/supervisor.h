// Keeps daemons running: starts them in stages, starts again what dies, stops all in order.
//
//   Supervisor supervisor(loop, launcher, plans, {.on_event = print});
//   supervisor.StartStage(0);
//   supervisor.Exited(pid, status);      // from SIGCHLD
//   supervisor.Stop([] { ... all have ended });
//
// A daemon that dies is started again at once, then after delays that double up to `longest_delay`;
// one that ran for `steady` begins anew. Thread-safety: on its loop only.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "orchestrator/keel/plan.h"

namespace keel::orchestrator {

// The seam to the system's processes.
class Launcher {
 public:
  virtual ~Launcher() = default;
  virtual absl::StatusOr<pid_t> Launch(const DaemonPlan& plan) = 0;
  virtual void Signal(pid_t pid, int number) = 0;
};

struct SupervisorOptions {
  base::Duration first_delay = std::chrono::milliseconds(500);
  base::Duration longest_delay = std::chrono::seconds(30);
  base::Duration steady = std::chrono::seconds(60);
  base::Duration stop_timeout = std::chrono::seconds(15);  // then SIGKILL
  // A line for people: "scheduler died (signal 9); started again as process 123".
  std::function<void(const std::string& line)> on_event = [](const std::string&) {};
  std::function<void()> on_change = [] {};  // a daemon started or ended
};

class Supervisor {
 public:
  struct Daemon {
    DaemonPlan plan;
    pid_t pid = 0;  // 0: does not run
    int restarts = 0;
    bool wanted = false;
    int failures = 0;  // in a row
    base::TimePoint started{};
    std::string last_end{};  // "exit code 1", "signal 9"; empty: never ended
  };

  Supervisor(base::Loop& loop, Launcher& launcher, std::vector<DaemonPlan> plans,
             SupervisorOptions options);
  ~Supervisor();

  void StartStage(int stage);
  // `wait_status`: as waitpid gives it. Of processes that are none of its own: nothing happens.
  void Exited(pid_t pid, int wait_status);
  // Ends the stages, the last first; `done` once, when nothing runs.
  void Stop(std::function<void()> done);

  const std::vector<Daemon>& daemons() const { return daemons_; }
  bool stopping() const { return stopping_; }

 private:
  void Start(Daemon& daemon, bool again);
  void StartLater(Daemon& daemon);
  void StopNext();

  base::Loop& loop_;
  Launcher& launcher_;
  const SupervisorOptions options_;
  std::vector<Daemon> daemons_;
  bool stopping_ = false;
  int stopping_stage_ = -1;
  base::TimerId kill_timer_ = 0;
  std::function<void()> on_stopped_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// "exit code 1", "signal 9 (Killed)".
std::string DescribeEnd(int wait_status);

}  // namespace keel::orchestrator
