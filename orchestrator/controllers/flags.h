// The command line of keel-controller-manager, named as kube-controller-manager's is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/client/leader_elector.h"

namespace keel::orchestrator {

struct ControllerManagerFlags {
  std::string kubeconfig{}, master{};
  std::vector<std::string> controllers = {"*"};
  LeaderElectionOptions leader_election{.name = "kube-controller-manager"};
  std::string bind_address = "127.0.0.1";
  uint16_t port = 10257;  // plain HTTP: /healthz /livez /readyz /metrics; 0: none
  size_t max_requests = 64;
  std::string log_level = "info";
  // --concurrent-X-syncs by X, and what else controllers read by name.
  std::map<std::string, size_t> concurrency{};
  std::map<std::string, std::string> other{};
  bool help = false, version = false;

  // As --controllers says it: "*" is all, "foo" that one, "-foo" not that one.
  bool IsEnabled(std::string_view controller) const;
};

// InvalidArgument naming the flag. `arguments` without the program's name.
absl::StatusOr<ControllerManagerFlags> ParseControllerManagerFlags(
    std::vector<std::string> arguments);
std::string ControllerManagerHelp();

}  // namespace keel::orchestrator
