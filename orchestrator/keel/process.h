// The system's processes: how daemons are launched, and what the kernel says of them.
//
// Thread-safe: free functions.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "orchestrator/keel/supervisor.h"

namespace keel::orchestrator {

// Launches with standard output and error appended to the plan's log and no standard input. A
// daemon gets SIGTERM when the thread that launched it ends: none outlives `keel up`.
class ProcessLauncher final : public Launcher {
 public:
  absl::StatusOr<pid_t> Launch(const DaemonPlan& plan) override;
  void Signal(pid_t pid, int number) override;
};

// The folder of the program that runs.
std::string OwnFolder();
// The program of a process; empty when there is none (or it is another user's).
std::string ProgramOf(pid_t pid);
// Memory in KiB, shared pages counted in parts; nullopt when it cannot be known.
std::optional<uint64_t> ProportionalMemoryKib(pid_t pid);
// Whether 127.0.0.1:port can be listened on.
bool PortIsFree(uint16_t port);

}  // namespace keel::orchestrator
