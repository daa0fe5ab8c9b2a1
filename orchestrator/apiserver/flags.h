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
  std::string log_level = "info";

  bool help = false, version = false;
};

// InvalidArgument naming the flag. `arguments` without the program's name.
absl::StatusOr<ApiServerFlags> ParseApiServerFlags(std::vector<std::string> arguments);
std::string ApiServerHelp();

}  // namespace keel::orchestrator
