// Kinds whose objects are made when they are asked for and never stored: the figures of
// metrics.k8s.io. They can be got and listed, and nothing else.
//
// Pure.
#pragma once

#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

inline bool IsComputed(const Kind& kind) { return kind.group == "metrics.k8s.io"; }

}  // namespace keel::orchestrator
