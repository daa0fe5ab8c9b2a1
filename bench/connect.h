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

// Connects them all, by a call that costs the server little; blocks, for
// `timeout` a channel at most. REQUIRES: the loop runs, and is not the caller's.
absl::Status Connect(const std::vector<std::unique_ptr<rpc::Channel>>& channels,
                     base::AsioLoop& loop, base::Duration timeout);

}  // namespace keel::bench
