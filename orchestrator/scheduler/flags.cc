#include "orchestrator/scheduler/flags.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "base/status.h"

namespace keel::orchestrator::sched {
namespace {

constexpr char kExamples[] = R"(Examples:
  keel-scheduler --kubeconfig=/tmp/cluster/admin.conf
  keel-scheduler --master=http://127.0.0.1:8080 --leader-elect=false --secure-port=0)";

class CommandLine : public DaemonCommandLine {
 public:
  explicit CommandLine(SchedulerFlags& flags)
      : DaemonCommandLine(flags, "keel-scheduler",
                          "The scheduler of Keel: gives each pod a node that has room for it.",
                          kExamples) {
    app()
        .add_option("--max-binds", flags.max_binds,
                    "Pods that were given a node while the API server has not answered yet")
        ->capture_default_str();
  }
};

}  // namespace

absl::StatusOr<SchedulerFlags> ParseSchedulerFlags(std::vector<std::string> arguments) {
  SchedulerFlags flags;
  KEEL_RETURN_IF_ERROR(CommandLine(flags).Parse(std::move(arguments)));
  if (flags.max_requests == 0 || flags.max_binds == 0) {
    return absl::InvalidArgumentError("--max-requests and --max-binds must be at least 1");
  }
  return flags;
}

std::string SchedulerHelp() {
  SchedulerFlags flags;
  return CommandLine(flags).Help();
}

}  // namespace keel::orchestrator::sched
