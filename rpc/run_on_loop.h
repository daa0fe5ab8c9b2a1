// Runs something on a loop and waits for it: what closing needs.
#pragma once

#include <functional>

#include "base/asio_loop.h"

namespace keel::rpc::internal {

// Runs `task` on the loop and returns when it has run: at once when the caller
// is on the loop or the loop was stopped. REQUIRES: the loop runs or was
// stopped; it may be stopped meanwhile.
void RunOnLoop(base::AsioLoop& loop, const std::function<void()>& task);

}  // namespace keel::rpc::internal
