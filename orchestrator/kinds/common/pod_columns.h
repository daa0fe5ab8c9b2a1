// What `kubectl get pods` shows: Kubernetes' summary of a pod's state in one word.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

std::vector<Column> PodColumns();

// The word of the Status column: the phase, or why it has not come further ("CrashLoopBackOff",
// "Init:0/1", "Completed", "Terminating").
std::string PodStatusWord(const json::object& pod);

}  // namespace keel::orchestrator
