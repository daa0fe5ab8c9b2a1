#include "orchestrator/keel/supervisor.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/strings.h"

namespace keel::orchestrator {

using base::StrCat;

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int number = WTERMSIG(wait_status);
    return StrCat("signal ", number, " (", strsignal(number), ")");
  }
  return StrCat("exit code ", WEXITSTATUS(wait_status));
}

Supervisor::Supervisor(base::Loop& loop, Launcher& launcher, std::vector<DaemonPlan> plans,
                       SupervisorOptions options)
    : loop_(loop), launcher_(launcher), options_(std::move(options)) {
  for (DaemonPlan& plan : plans) daemons_.push_back({.plan = std::move(plan)});
}

Supervisor::~Supervisor() = default;

void Supervisor::StartStage(int stage) {
  for (Daemon& daemon : daemons_) {
    if (daemon.plan.stage == stage && !daemon.wanted) Start(daemon, false);
  }
}

void Supervisor::Start(Daemon& daemon, bool again) {
  if (stopping_) return;
  daemon.wanted = true;
  daemon.started = loop_.Now();
  const absl::StatusOr<pid_t> pid = launcher_.Launch(daemon.plan);
  if (!pid.ok()) {
    daemon.last_end = std::string(base::ToStd(pid.status().message()));
    options_.on_event(StrCat(daemon.plan.name, " cannot be started: ", daemon.last_end));
    return StartLater(daemon);
  }
  daemon.pid = *pid;
  if (again) {
    ++daemon.restarts;
    options_.on_event(StrCat(daemon.plan.name, " started again as process ", *pid));
  }
  options_.on_change();
}

void Supervisor::StartLater(Daemon& daemon) {
  const int failures = daemon.failures++;
  base::Duration delay{};
  if (failures > 0) {
    delay = std::min(options_.longest_delay,
                     options_.first_delay * (int64_t{1} << std::min(failures - 1, 20)));
    options_.on_event(StrCat(
        daemon.plan.name, " is tried again in ",
        static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(delay).count()) /
            1000,
        " s; its log: ", daemon.plan.log));
  }
  const size_t index = static_cast<size_t>(&daemon - daemons_.data());
  loop_.After(delay, [this, weak = std::weak_ptr(alive_), index] {
    if (!weak.expired()) Start(daemons_[index], true);
  });
}

void Supervisor::Exited(pid_t pid, int wait_status) {
  const auto found = std::find_if(daemons_.begin(), daemons_.end(),
                                  [pid](const Daemon& d) { return d.pid == pid; });
  if (found == daemons_.end()) return;
  Daemon& daemon = *found;
  daemon.pid = 0;
  daemon.last_end = DescribeEnd(wait_status);
  if (loop_.Now() - daemon.started >= options_.steady) daemon.failures = 0;
  options_.on_change();
  if (stopping_) return StopNext();
  options_.on_event(StrCat(daemon.plan.name, " (process ", pid, ") died: ", daemon.last_end));
  StartLater(daemon);
}

void Supervisor::Stop(std::function<void()> done) {
  if (std::exchange(stopping_, true)) return;
  on_stopped_ = std::move(done);
  stopping_stage_ = 0;
  for (const Daemon& daemon : daemons_) {
    stopping_stage_ = std::max(stopping_stage_, daemon.plan.stage + 1);
  }
  StopNext();
}

void Supervisor::StopNext() {
  const auto runs = [this](const Daemon& d) {
    return d.pid != 0 && d.plan.stage >= stopping_stage_;
  };
  while (stopping_stage_ >= 0 && std::none_of(daemons_.begin(), daemons_.end(), runs)) {
    if (--stopping_stage_ < 0) break;
    for (const Daemon& daemon : daemons_) {
      if (runs(daemon)) launcher_.Signal(daemon.pid, SIGTERM);
    }
    loop_.Cancel(kill_timer_);
    kill_timer_ = loop_.After(options_.stop_timeout, [this, weak = std::weak_ptr(alive_), runs] {
      if (weak.expired()) return;
      for (const Daemon& daemon : daemons_) {
        if (!runs(daemon)) continue;
        options_.on_event(StrCat(daemon.plan.name, " did not stop in time and is killed"));
        launcher_.Signal(daemon.pid, SIGKILL);
      }
    });
  }
  if (stopping_stage_ < 0 && on_stopped_) {
    loop_.Cancel(kill_timer_);
    std::exchange(on_stopped_, nullptr)();
  }
}

}  // namespace keel::orchestrator
