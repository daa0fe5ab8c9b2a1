// Makes what a cluster needs before it starts: certificates for everyone, keys of service accounts
// and of secrets, kubeconfigs.
//
//   KEEL_RETURN_IF_ERROR(WriteClusterFiles(options));
//
// What is there and still good stays, so that a cluster that is started again keeps its identity.
// Everything but certificates is mode 0600. Blocks on the disk.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "orchestrator/keel/plan.h"

namespace keel::orchestrator {

absl::Status WriteClusterFiles(const ClusterOptions& options);

// A kubeconfig with its credentials inside. All but the first are PEM.
std::string KubeconfigText(std::string_view server, std::string_view ca, std::string_view user,
                           std::string_view certificate, std::string_view key);

}  // namespace keel::orchestrator
