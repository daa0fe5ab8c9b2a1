// The command line of keel-scheduler, named as kube-scheduler's is.
//
//   KEEL_ASSIGN_OR_RETURN(SchedulerFlags flags, ParseSchedulerFlags(arguments));
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/daemon/flags.h"

namespace keel::orchestrator::sched {

struct SchedulerFlags : DaemonFlags {
  SchedulerFlags() : DaemonFlags("kube-scheduler", 10259) {}

  size_t max_binds = 256;
};

// InvalidArgument naming the flag. `arguments` without the program's name.
absl::StatusOr<SchedulerFlags> ParseSchedulerFlags(std::vector<std::string> arguments);
std::string SchedulerHelp();

}  // namespace keel::orchestrator::sched
