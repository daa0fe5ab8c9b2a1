// What the command lines of Keel's elected daemons have in common, named as Kubernetes' are.
//
//   struct SchedulerFlags : DaemonFlags {
//     SchedulerFlags() : DaemonFlags("kube-scheduler", 10259) {}
//     size_t max_binds = 256;
//   };
//
//   DaemonCommandLine line(flags, "keel-scheduler", "The scheduler of Keel: ...", kExamples);
//   line.app().add_option("--max-binds", flags.max_binds, "...")->capture_default_str();
//   KEEL_RETURN_IF_ERROR(line.Parse(arguments));
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/client/leader_elector.h"

namespace CLI {
class App;
}  // namespace CLI

namespace keel::orchestrator {

struct DaemonFlags {
  DaemonFlags(std::string lease, uint16_t default_port)
      : leader_election{.name = std::move(lease)}, port(default_port) {}

  std::string kubeconfig{}, master{};
  LeaderElectionOptions leader_election;
  std::string bind_address = "127.0.0.1";
  uint16_t port;  // HTTPS: /healthz /livez /readyz /metrics; 0: none
  // The certificate that the port shows. Without files it signs itself, and lies in `cert_dir`, or
  // in memory when that is empty too.
  std::string tls_cert_file{}, tls_private_key_file{}, cert_dir{};
  std::string client_ca_file{};  // whose certificates name a user
  size_t max_requests = 64;
  std::string log_level = "info";
  bool help = false, version = false;
};

class DaemonCommandLine {
 public:
  // `flags` outlives it.
  DaemonCommandLine(DaemonFlags& flags, const std::string& program, const std::string& description,
                    const std::string& examples);
  ~DaemonCommandLine();

  CLI::App& app() { return *app_; }  // for the daemon's own options

  // InvalidArgument naming the flag. `arguments` without the program's name.
  absl::Status Parse(std::vector<std::string> arguments);
  std::string Help() const;

 private:
  DaemonFlags& flags_;
  std::string lease_duration_ = "15s", renew_deadline_ = "10s", retry_period_ = "2s";
  std::unique_ptr<CLI::App> app_;
};

}  // namespace keel::orchestrator
