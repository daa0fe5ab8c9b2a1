// A Node on a Driver: passes calls to its loop (internal to raft/driver).
#pragma once

#include <functional>
#include <memory>

#include "raft/driver/driver.h"
#include "raft/driver/node.h"

namespace keel::raft {

std::unique_ptr<Node> MakeNode(base::Loop* loop, Transport* transport,
                               std::shared_ptr<Driver> driver);

// Runs a step on the loop and waits until it says so; false when it did not in time.
bool WaitOn(base::Loop* loop, base::Duration limit,
            std::function<void(std::function<void()>)> step);

}  // namespace keel::raft
