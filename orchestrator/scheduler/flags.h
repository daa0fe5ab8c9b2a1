// The command line of keel-scheduler, named as kube-scheduler's is.
//
//   KEEL_ASSIGN_OR_RETURN(SchedulerFlags flags, ParseSchedulerFlags(arguments));
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/client/leader_elector.h"

namespace keel::orchestrator::sched {

struct SchedulerFlags {
  std::string kubeconfig{}, master{};
  LeaderElectionOptions leader_election{.name = "kube-scheduler"};
  std::string bind_address = "127.0.0.1";
  uint16_t port = 10259;  // plain HTTP: /healthz /livez /readyz /metrics; 0: none
  size_t max_requests = 64;
  size_t max_binds = 256;
  std::string log_level = "info";
  bool help = false, version = false;
};

// InvalidArgument naming the flag. `arguments` without the program's name.
absl::StatusOr<SchedulerFlags> ParseSchedulerFlags(std::vector<std::string> arguments);
std::string SchedulerHelp();

}  // namespace keel::orchestrator::sched
