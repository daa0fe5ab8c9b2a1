// Where kvd's log goes (--log-outputs).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace keel::kvstore {

// "default" and "stderr" are standard error, "stdout" standard output, anything
// else a file that is appended to. InvalidArgument when a file cannot be opened.
// `json`: a JSON object a line (json_log.h).
absl::Status SetLogOutputs(const std::vector<std::string>& outputs, bool json = false);

}  // namespace keel::kvstore
