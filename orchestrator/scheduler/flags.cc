#include "orchestrator/scheduler/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

#include "absl/time/time.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator::sched {
namespace {

constexpr char kExamples[] = R"(Examples:
  keel-scheduler --kubeconfig=/tmp/cluster/admin.conf
  keel-scheduler --master=http://127.0.0.1:8080 --leader-elect=false --secure-port=0)";

struct Texts {
  std::string lease_duration = "15s", renew_deadline = "10s", retry_period = "2s";
};

std::unique_ptr<CLI::App> MakeApp(SchedulerFlags& flags, Texts& texts) {
  auto app = std::make_unique<CLI::App>(
      "The scheduler of Keel: gives each pod a node that has room for it.", "keel-scheduler");
  app->footer(kExamples);
  app->set_help_flag();
  app->add_flag("-h,--help", flags.help, "Print this and exit");
  app->add_flag("--version", flags.version, "Print the version and exit");
  app->add_option("--kubeconfig", flags.kubeconfig, "How to reach the API server, and as whom");
  app->add_option(
      "--master", flags.master,
      "Address of the API server (several with commas between); wins over --kubeconfig");
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
  app->add_option("--max-binds", flags.max_binds,
                  "Pods that were given a node while the API server has not answered yet")
      ->capture_default_str();
  app->add_option("--log-level", flags.log_level, "debug, info, warn or error")
      ->capture_default_str();
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

absl::StatusOr<SchedulerFlags> ParseSchedulerFlags(std::vector<std::string> arguments) {
  SchedulerFlags flags;
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
  if (flags.max_requests == 0 || flags.max_binds == 0) {
    return absl::InvalidArgumentError("--max-requests and --max-binds must be at least 1");
  }
  return flags;
}

std::string SchedulerHelp() {
  SchedulerFlags flags;
  Texts texts;
  return MakeApp(flags, texts)->help();
}

}  // namespace keel::orchestrator::sched
