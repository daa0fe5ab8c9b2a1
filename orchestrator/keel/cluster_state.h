// What `keel up` writes down for `keel down`, `keel status` and the next `keel up` to read:
// state.json in the data directory.
//
// Thread-safe: free functions; the file is replaced at once, never half-written.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/keel/plan.h"
#include "orchestrator/keel/supervisor.h"

namespace keel::orchestrator {

struct ClusterState {
  pid_t keel_pid = 0;
  bool ready = false;
  ClusterOptions options;
  struct Daemon {
    std::string name;
    pid_t pid = 0;
    int restarts = 0;
    std::vector<uint16_t> ports;
    std::string last_end, log, program;
  };
  std::vector<Daemon> daemons;
};

absl::Status WriteState(const std::string& path, const ClusterState& state);
// NotFound when there is none.
absl::StatusOr<ClusterState> ReadState(const std::string& path);
// Whether the `keel up` that wrote it still runs.
bool IsUp(const ClusterState& state);
// The table of `keel status`.
std::string StatusTable(const ClusterState& state);

}  // namespace keel::orchestrator
