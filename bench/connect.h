// The connections of one thread of load.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/asio_loop.h"
#include "bench/options.h"
#include "rpc/client.h"

namespace keel::bench {

// The share of thread `thread` of options.threads, over the endpoints in turn. Not connected yet.
std::vector<std::unique_ptr<rpc::Channel>> MakeChannels(const Options& options, int thread,
                                                        base::AsioLoop& loop);

// Connects them all, some at a time, by a call that costs the server little; blocks, for
// `timeout` a group at most. REQUIRES: the loop runs, and is not the caller's.
absl::Status Connect(const std::vector<std::unique_ptr<rpc::Channel>>& channels,
                     base::AsioLoop& loop, base::Duration timeout);

// Closes and destroys them all, in one turn of the loop; blocks. Once a loop has stopped, each
// channel takes 20 ms to notice. REQUIRES: the loop runs, and is not the caller's.
void Disconnect(std::vector<std::unique_ptr<rpc::Channel>>* channels, base::AsioLoop& loop);

}  // namespace keel::bench
