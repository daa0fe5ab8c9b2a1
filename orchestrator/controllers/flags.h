// The command line of keel-controller-manager, named as kube-controller-manager's is.
//
//   KEEL_ASSIGN_OR_RETURN(ControllerManagerFlags flags, ParseControllerManagerFlags(arguments));
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/daemon/flags.h"

namespace keel::orchestrator {

struct ControllerManagerFlags : DaemonFlags {
  ControllerManagerFlags() : DaemonFlags("kube-controller-manager", 10257) {}

  std::vector<std::string> controllers = {"*"};
  // --concurrent-X-syncs by X, and what else controllers read by name.
  std::map<std::string, size_t> concurrency{};
  std::map<std::string, std::string> other{};

  // As --controllers says it: "*" is all, "foo" that one, "-foo" not that one.
  bool IsEnabled(std::string_view controller) const;
};

// InvalidArgument naming the flag. `arguments` without the program's name.
absl::StatusOr<ControllerManagerFlags> ParseControllerManagerFlags(
    std::vector<std::string> arguments);
std::string ControllerManagerHelp();

}  // namespace keel::orchestrator
