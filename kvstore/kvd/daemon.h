// One member put together: loops, log, store, transport, server, watch.
#pragma once

#include <csignal>

#include "absl/status/status.h"
#include "kvstore/server/config.h"

namespace keel::kvstore {

// Runs a member until one of `signals` (blocked in all threads) comes, then
// hands leadership over, lets requests in progress end, and returns OK. A
// second signal ends the process at once. Errors say why the member could not
// start or go on. Only once in a process at a time.
absl::Status RunDaemon(const ServerConfig& config, const sigset_t& signals);

}  // namespace keel::kvstore
