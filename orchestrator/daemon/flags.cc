#include "orchestrator/daemon/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

absl::StatusOr<base::Duration> ParseDuration(const char* flag, const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(base::StrCat("--", flag, ": no duration: ", text));
  }
  return absl::ToChronoNanoseconds(duration);
}

}  // namespace

DaemonCommandLine::DaemonCommandLine(DaemonFlags& flags, const std::string& program,
                                     const std::string& description, const std::string& examples)
    : flags_(flags), app_(std::make_unique<CLI::App>(description, program)) {
  app_->footer(examples);
  app_->set_help_flag();
  app_->add_flag("-h,--help", flags.help, "Print this and exit");
  app_->add_flag("--version", flags.version, "Print the version and exit");
  app_->add_option("--kubeconfig", flags.kubeconfig, "How to reach the API server, and as whom");
  app_->add_option(
      "--master", flags.master,
      "Address of the API server (several with commas between); wins over --kubeconfig");
  LeaderElectionOptions& election = flags.leader_election;
  app_->add_flag("--leader-elect,!--no-leader-elect", election.enabled,
                 "Work only while holding the lease: for several instances")
      ->capture_default_str();
  app_->add_option("--leader-elect-resource-namespace", election.ns, "Where the lease lies")
      ->capture_default_str();
  app_->add_option("--leader-elect-resource-name", election.name, "The lease's name")
      ->capture_default_str();
  app_->add_option("--leader-elect-lease-duration", lease_duration_,
                   "How long others wait for a leader that is silent")
      ->capture_default_str();
  app_->add_option("--leader-elect-renew-deadline", renew_deadline_,
                   "How long a leader that cannot renew goes on")
      ->capture_default_str();
  app_->add_option("--leader-elect-retry-period", retry_period_,
                   "Between two tries to get or renew the lease")
      ->capture_default_str();
  app_->add_option("--bind-address", flags.bind_address, "For --secure-port")
      ->capture_default_str();
  app_->add_option("--secure-port", flags.port,
                   "Port for HTTPS: /healthz, /livez, /readyz and /metrics; 0: none")
      ->capture_default_str();
  app_->add_option("--tls-cert-file", flags.tls_cert_file,
                   "Certificate of that port; without it one is made, in --cert-dir or in memory");
  app_->add_option("--tls-private-key-file", flags.tls_private_key_file, "Its key");
  app_->add_option("--cert-dir", flags.cert_dir, "Where a certificate is made if none is given");
  app_->add_option("--client-ca-file", flags.client_ca_file,
                   "CA of clients' certificates: CN is the user, O are the groups");
  app_->add_option("--max-requests", flags.max_requests, "To the API server at once")
      ->capture_default_str();
  app_->add_option("--log-level", flags.log_level, "debug, info, warn or error")
      ->capture_default_str();
}

DaemonCommandLine::~DaemonCommandLine() = default;

absl::Status DaemonCommandLine::Parse(std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());
  try {
    app_->parse(arguments);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  if (flags_.help || flags_.version) return absl::OkStatus();
  if (flags_.tls_cert_file.empty() != flags_.tls_private_key_file.empty()) {
    return absl::InvalidArgumentError(
        "--tls-cert-file and --tls-private-key-file go together, or neither is given");
  }
  LeaderElectionOptions& election = flags_.leader_election;
  KEEL_ASSIGN_OR_RETURN(election.lease_duration,
                        ParseDuration("leader-elect-lease-duration", lease_duration_));
  KEEL_ASSIGN_OR_RETURN(election.renew_deadline,
                        ParseDuration("leader-elect-renew-deadline", renew_deadline_));
  KEEL_ASSIGN_OR_RETURN(election.retry_period,
                        ParseDuration("leader-elect-retry-period", retry_period_));
  return election.enabled ? election.Validate() : absl::OkStatus();
}

std::string DaemonCommandLine::Help() const { return app_->help(); }

}  // namespace keel::orchestrator
