// Running a program for an event.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace keel::kvctl {

// Runs args[0] (looked for in PATH) with this process's environment and
// `extra` variables, which take the place of those of the same name; waits for
// it. "" when it exited 0, else why not: "exit status 3".
// REQUIRES: !args.empty().
std::string RunCommand(const std::vector<std::string>& args,
                       const std::vector<std::pair<std::string, std::string>>& extra);

}  // namespace keel::kvctl
