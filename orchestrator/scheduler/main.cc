// keel-scheduler: gives pods nodes. Its exit codes are those of RunDaemon.
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "orchestrator/daemon/daemon.h"
#include "orchestrator/scheduler/flags.h"
#include "orchestrator/scheduler/scheduler.h"

namespace keel::orchestrator::sched {
namespace {

class Program final : public ElectedDaemon {
 public:
  explicit Program(const SchedulerFlags& flags)
      : ElectedDaemon("keel-scheduler", "scheduler", flags), flags_(flags) {}

 private:
  void Work() override {
    scheduler_ = std::make_unique<Scheduler>(
        client(), SchedulerOptions{.now = [] { return absl::Now(); },
                                   .seed = static_cast<uint64_t>(absl::ToUnixNanos(absl::Now())),
                                   .max_binds = flags_.max_binds});
    scheduler_->Start();
  }

  void Rest() override { scheduler_.reset(); }

  std::string MetricsText() const override {
    return scheduler_ == nullptr ? Metrics().Text({.leading = false})
                                 : scheduler_->MetricsText(true);
  }

  const SchedulerFlags& flags_;
  std::unique_ptr<Scheduler> scheduler_;
};

int Main(int argc, char** argv) {
  return RunDaemon<Program>("keel-scheduler", ParseSchedulerFlags({argv + 1, argv + argc}),
                            SchedulerHelp);
}

}  // namespace
}  // namespace keel::orchestrator::sched

int main(int argc, char** argv) { return keel::orchestrator::sched::Main(argc, argv); }
