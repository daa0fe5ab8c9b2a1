#include "orchestrator/controllers/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/controllers/controller.h"

namespace keel::orchestrator {
namespace {

constexpr char kExamples[] = R"(Examples:
  keel-controller-manager --kubeconfig=/tmp/cluster/admin.conf
  keel-controller-manager --master=http://127.0.0.1:8080 --leader-elect=false
  keel-controller-manager --kubeconfig=admin.conf --controllers=*,-cronjob-controller \
      --concurrent-replicaset-syncs=10)";

// Numbers of workers, by the flag's middle, with Kubernetes' defaults.
constexpr std::pair<const char*, size_t> kConcurrency[] = {
    {"cron-job", 5},
    {"daemonset", 2},
    {"deployment", 5},
    {"endpoint", 5},
    {"endpointslice", 5},
    {"gc", 20},
    {"horizontal-pod-autoscaler", 5},
    {"job", 5},
    {"namespace", 10},
    {"rc", 5},
    {"replicaset", 5},
    {"resource-quota", 5},
    {"serviceaccount-token", 5},
    {"statefulset", 5},
    {"ttl-after-finished", 5},
};

// What controllers read by name, with what it is for.
constexpr std::pair<const char*, const char*> kOther[] = {
    {"root-ca-file", "Certificate of the CA that goes into kube-root-ca.crt in each namespace"},
    {"terminated-pod-gc-threshold", "Ended pods that are kept before the oldest are deleted"},
    {"node-monitor-period", "How often nodes are looked at"},
    {"node-monitor-grace-period", "Silence after which a node counts as not ready"},
    {"node-eviction-rate", "Nodes a second that are tainted in a healthy zone"},
    {"horizontal-pod-autoscaler-sync-period", "How often autoscalers look at metrics"},
    {"horizontal-pod-autoscaler-downscale-stabilization", "For how long a lower number must hold"},
};

class CommandLine : public DaemonCommandLine {
 public:
  explicit CommandLine(ControllerManagerFlags& flags)
      : DaemonCommandLine(flags, "keel-controller-manager",
                          "The controllers of Keel: each makes the cluster what its objects say.",
                          kExamples) {
    app()
        .add_option("--controllers", flags.controllers,
                    "Which to run: * is all, foo that one, -foo not that one")
        ->delimiter(',')
        ->capture_default_str();
    for (const auto& [name, otherwise] : kConcurrency) {
      app()
          .add_option_function<size_t>(
              base::StrCat("--concurrent-", name, "-syncs"),
              [&flags, key = std::string(name)](const size_t& value) {
                flags.concurrency[key] = value;
              },
              "Objects of that controller that are worked on at once")
          ->default_str(std::to_string(otherwise));
    }
    for (const auto& [name, description] : kOther) {
      app().add_option_function<std::string>(
          base::StrCat("--", name),
          [&flags, key = std::string(name)](const std::string& value) { flags.other[key] = value; },
          description);
    }
  }
};

}  // namespace

bool ControllerManagerFlags::IsEnabled(std::string_view controller) const {
  bool all = false;
  for (const std::string& entry : controllers) {
    if (entry == controller) return true;
    if (entry == base::StrCat("-", controller)) return false;
    all |= entry == "*";
  }
  return all;
}

absl::StatusOr<ControllerManagerFlags> ParseControllerManagerFlags(
    std::vector<std::string> arguments) {
  ControllerManagerFlags flags;
  KEEL_RETURN_IF_ERROR(CommandLine(flags).Parse(std::move(arguments)));
  for (const std::string& entry : flags.controllers) {
    const std::string name = entry.starts_with('-') ? entry.substr(1) : entry;
    const auto& all = AllControllers();
    if (name != "*" &&
        std::none_of(all.begin(), all.end(), [&](const auto& each) { return each.name == name; })) {
      return absl::InvalidArgumentError(
          base::StrCat("--controllers: \"", name, "\" is not in the list of known controllers"));
    }
  }
  return flags;
}

std::string ControllerManagerHelp() {
  ControllerManagerFlags flags;
  return CommandLine(flags).Help();
}

}  // namespace keel::orchestrator
