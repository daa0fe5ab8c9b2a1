#include "orchestrator/controllers/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "absl/time/time.h"
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

struct Texts {
  std::string lease_duration = "15s", renew_deadline = "10s", retry_period = "2s";
};

std::unique_ptr<CLI::App> MakeApp(ControllerManagerFlags& flags, Texts& texts) {
  auto app = std::make_unique<CLI::App>(
      "The controllers of Keel: each makes the cluster what its objects say.",
      "keel-controller-manager");
  app->footer(kExamples);
  app->set_help_flag();
  app->add_flag("-h,--help", flags.help, "Print this and exit");
  app->add_flag("--version", flags.version, "Print the version and exit");
  app->add_option("--kubeconfig", flags.kubeconfig, "How to reach the API server, and as whom");
  app->add_option(
      "--master", flags.master,
      "Address of the API server (several with commas between); wins over --kubeconfig");
  app->add_option("--controllers", flags.controllers,
                  "Which to run: * is all, foo that one, -foo not that one")
      ->delimiter(',')
      ->capture_default_str();
  LeaderElectionOptions& election = flags.leader_election;
  app->add_flag("--leader-elect,!--no-leader-elect", election.enabled,
                "Work only while holding the lease: for several instances")
      ->capture_default_str();
  app->add_option("--leader-elect-resource-namespace", election.ns, "Where the lease lies")
      ->capture_default_str();
  app->add_option("--leader-elect-resource-name", election.name, "The lease's name")
      ->capture_default_str();
  app->add_option("--leader-elect-lease-duration", texts.lease_duration,
                  "How long others wait for a leader that is silent")
      ->capture_default_str();
  app->add_option("--leader-elect-renew-deadline", texts.renew_deadline,
                  "How long a leader that cannot renew goes on")
      ->capture_default_str();
  app->add_option("--leader-elect-retry-period", texts.retry_period,
                  "Between two tries to get or renew the lease")
      ->capture_default_str();
  app->add_option("--bind-address", flags.bind_address, "For --secure-port")->capture_default_str();
  app->add_option("--secure-port,--port", flags.port,
                  "/healthz, /livez, /readyz and /metrics over plain HTTP; 0: none")
      ->capture_default_str();
  app->add_option("--max-requests", flags.max_requests, "To the API server at once")
      ->capture_default_str();
  app->add_option("--log-level", flags.log_level, "debug, info, warn or error")
      ->capture_default_str();
  for (const auto& [name, otherwise] : kConcurrency) {
    app->add_option_function<size_t>(
           base::StrCat("--concurrent-", name, "-syncs"),
           [&flags, key = std::string(name)](const size_t& value) {
             flags.concurrency[key] = value;
           },
           "Objects of that controller that are worked on at once")
        ->default_str(std::to_string(otherwise));
  }
  for (const auto& [name, description] : kOther) {
    app->add_option_function<std::string>(
        base::StrCat("--", name),
        [&flags, key = std::string(name)](const std::string& value) { flags.other[key] = value; },
        description);
  }
  return app;
}

absl::StatusOr<base::Duration> ParseDuration(const char* flag, const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(base::StrCat("--", flag, ": no duration: ", text));
  }
  return absl::ToChronoNanoseconds(duration);
}

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
  Texts texts;
  auto app = MakeApp(flags, texts);
  std::reverse(arguments.begin(), arguments.end());
  try {
    app->parse(arguments);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  if (flags.help || flags.version) return flags;
  LeaderElectionOptions& election = flags.leader_election;
  KEEL_ASSIGN_OR_RETURN(election.lease_duration,
                        ParseDuration("leader-elect-lease-duration", texts.lease_duration));
  KEEL_ASSIGN_OR_RETURN(election.renew_deadline,
                        ParseDuration("leader-elect-renew-deadline", texts.renew_deadline));
  KEEL_ASSIGN_OR_RETURN(election.retry_period,
                        ParseDuration("leader-elect-retry-period", texts.retry_period));
  if (election.enabled) {
    KEEL_RETURN_IF_ERROR(election.Validate());
  }
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
  Texts texts;
  return MakeApp(flags, texts)->help();
}

}  // namespace keel::orchestrator
