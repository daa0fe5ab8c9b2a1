// keel-controller-manager: all controllers in one process. Its exit codes are those of RunDaemon.
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "base/strings.h"
#include "orchestrator/controllers/flags.h"
#include "orchestrator/controllers/manager.h"
#include "orchestrator/daemon/daemon.h"

namespace keel::orchestrator {
namespace {

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

std::string Metrics(const ControllerManager* manager, bool leading, const std::string& lease) {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  std::string text;
  const auto add = [&](std::string_view name, std::string_view labels, std::string_view type,
                       auto value) {
    text += base::StrCat("# TYPE ", name, " ", type, "\n", name, labels, " ", value, "\n");
  };
  add("leader_election_master_status", base::StrCat("{name=\"", lease, "\"}"), "gauge",
      leading ? 1 : 0);
  add("keel_controllers", "", "gauge", manager == nullptr ? size_t{0} : manager->controllers());
  add("keel_cached_pods", "", "gauge", manager == nullptr ? size_t{0} : manager->pods().size());
  add("process_resident_memory_bytes", "", "gauge", ResidentBytes());
  add("process_cpu_seconds_total", "", "counter", cpu);
  return text;
}

class Program final : public ElectedDaemon {
 public:
  explicit Program(const ControllerManagerFlags& flags)
      : ElectedDaemon("keel-controller-manager", "controllers", flags), flags_(flags) {}

 private:
  void Work() override {
    manager_ = std::make_unique<ControllerManager>(
        client(),
        ControllerManagerOptions{
            .is_enabled = [this](std::string_view name) { return flags_.IsEnabled(name); },
            .now = [] { return absl::Now(); },
            .concurrency =
                [this](std::string_view name, size_t otherwise) {
                  auto found = flags_.concurrency.find(std::string(name));
                  return found == flags_.concurrency.end() ? otherwise : found->second;
                },
            .flag =
                [this](std::string_view name) {
                  auto found = flags_.other.find(std::string(name));
                  return found == flags_.other.end() ? std::string() : found->second;
                }});
    manager_->Start();
  }

  void Rest() override { manager_.reset(); }

  std::string MetricsText() const override {
    const bool leading = elector() == nullptr ? manager_ != nullptr : elector()->leading();
    return Metrics(manager_.get(), leading, flags_.leader_election.name);
  }

  const ControllerManagerFlags& flags_;
  std::unique_ptr<ControllerManager> manager_;
};

int Main(int argc, char** argv) {
  return RunDaemon<Program>("keel-controller-manager",
                            ParseControllerManagerFlags({argv + 1, argv + argc}),
                            ControllerManagerHelp);
}

}  // namespace
}  // namespace keel::orchestrator

int main(int argc, char** argv) { return keel::orchestrator::Main(argc, argv); }
