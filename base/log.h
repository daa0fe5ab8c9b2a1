// Logging, on spdlog. One line an event: what happened, then the values as
// key=value, so that people and grep can both read it.
//
//   base::Log().info("became leader term={} index={}", term, index);
//
// Lines go to standard error. Thread-safe. Never log values of user keys,
// passwords or tokens.
#pragma once

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace keel::base {

// The process's logger; level "info" until SetLogLevel.
spdlog::logger& Log();

// "debug", "info", "warn", "error", "panic" or "fatal" (etcd's names).
// InvalidArgument for anything else, and nothing changes.
absl::Status SetLogLevel(std::string_view level);

}  // namespace keel::base
