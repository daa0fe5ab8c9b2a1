// How a command ends: etcdctl's exit codes and the line that goes with them.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace keel::kvctl {

enum ExitCode {
  kExitSuccess = 0,
  kExitError = 1,
  kExitBadConnection = 2,
  kExitInvalidInput = 3,  // of a transaction or of interactive input
  kExitBadFeature = 4,    // a flag asks for what there is not
  kExitInterrupted = 5,
  kExitBadArgs = 128,
};

// The outcome of a command. `text`, when there is any, is for standard error.
struct [[nodiscard]] Outcome {
  int exit_code = kExitSuccess;
  std::string text;

  bool ok() const { return exit_code == kExitSuccess; }
};

inline Outcome Success() { return {}; }
inline Outcome Fail(int exit_code, std::string text) {
  return {exit_code, "Error: " + std::move(text)};
}

// What a server or the client library said, in one line.
Outcome FailWith(const absl::Status& status);

// The reason alone: "connection refused" for an address that the reader of the
// line sees anyway.
std::string ReasonOf(const absl::Status& status);

}  // namespace keel::kvctl
