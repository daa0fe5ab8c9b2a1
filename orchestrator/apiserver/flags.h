// The command line of keel-apiserver, named as kube-apiserver's is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace keel::orchestrator {

struct ApiServerFlags {
  std::vector<std::string> etcd_servers = {"http://127.0.0.1:2379"};
  std::string etcd_cafile{}, etcd_certfile{}, etcd_keyfile{};
  std::string etcd_prefix = "/registry";

  std::string bind_address = "0.0.0.0";
  uint16_t secure_port = 6443;  // 0: off
  uint16_t insecure_port = 0;   // 0: off
  std::string tls_cert_file{}, tls_private_key_file{}, client_ca_file{};
  std::string cert_dir = "/var/run/kubernetes";

  std::vector<std::string> authorization_mode = {"AlwaysAllow"};
  bool anonymous_auth = true;
  std::string token_auth_file{};
  std::vector<std::string> service_account_key_files{};
  std::string service_account_signing_key_file{};
  std::string service_account_issuer = "https://kubernetes.default.svc";
  std::vector<std::string> api_audiences{};
  std::vector<std::string> disable_admission_plugins{};
  std::string encryption_provider_config{};

  std::string advertise_address{};  // empty: the bind address, or 127.0.0.1
  std::string service_cluster_ip_range = "10.96.0.0/16";
  std::string service_node_port_range = "30000-32767";
  int64_t event_ttl_seconds = 3600;
  int64_t compaction_interval_seconds = 300;
  std::string log_level = "info";

  bool help = false, version = false;
};

// InvalidArgument naming the flag. `arguments` without the program's name.
absl::StatusOr<ApiServerFlags> ParseApiServerFlags(std::vector<std::string> arguments);
std::string ApiServerHelp();

}  // namespace keel::orchestrator
