// What a cluster on one machine consists of: which programs run with which flags, on which ports,
// with which files. Pure: options in, a list of daemons out.
//
//   ClusterOptions options{.data_dir = "/tmp/keel", .nodes = 3};
//   for (const DaemonPlan& daemon : PlanCluster(options, "/usr/bin")) ... start it
//
// Thread-safety: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace keel::orchestrator {

struct ClusterOptions {
  std::string data_dir;
  uint32_t members = 3;  // of the store: 1, 3 or 5
  uint32_t apiservers = 1;
  uint32_t controller_managers = 1;
  uint32_t schedulers = 1;
  uint32_t nodes = 3;                          // hollow ones, all in one process; 0: none
  uint16_t port = 6443;                        // of the first API server; the others follow from it
  std::vector<std::string> apiserver_flags{};  // added to the command lines
  std::vector<std::string> node_flags{};

  // InvalidArgument in words for people.
  absl::Status Validate() const;
};

// Where things lie under the data directory.
struct ClusterFiles {
  explicit ClusterFiles(const std::string& data_dir);

  std::string root, pki, store, logs;
  std::string kubeconfig;         // the administrator's
  std::string encryption_config;  // of secrets in the store
  std::string account_key;        // signs service accounts' tokens
  std::string state;              // state.json: what runs (cluster_state.h)
  std::string lock;

  std::string Kubeconfig(std::string_view identity) const;  // "scheduler"
  std::string Log(std::string_view daemon) const;
};

// Ports, all from ClusterOptions::port: P + i for API servers, P + 100 + 2i (clients) and
// P + 101 + 2i (peers) for members, P + 200 + i for controller managers, P + 300 + i for
// schedulers.
uint16_t ApiPort(const ClusterOptions& options, uint32_t index);
uint16_t StoreClientPort(const ClusterOptions& options, uint32_t index);
uint16_t StorePeerPort(const ClusterOptions& options, uint32_t index);

struct DaemonPlan {
  std::string name;                  // "store-1", "apiserver", "scheduler-2"
  std::vector<std::string> command;  // with the program's path
  std::string log;
  std::vector<uint16_t> ports;
  // Daemons of a stage start once all of the stage before are ready: 0 store, 1 API servers, 2 the
  // rest. They stop in the opposite order.
  int stage = 0;
  // Whether the daemon's own /readyz or /health can be asked over its first port.
  bool probed = false;
};

std::vector<DaemonPlan> PlanCluster(const ClusterOptions& options, const std::string& program_dir);
// "https://127.0.0.1:6443,https://127.0.0.1:6444"
std::string ApiServerUrls(const ClusterOptions& options);

}  // namespace keel::orchestrator
