// How persistent volumes and claims show their capacity and modes.
#pragma once

#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

// "RWO,ROX": short forms of access modes, each once.
std::string AccessModesText(const json::array& modes);
// The phase, or "Terminating" of what is being deleted.
Column PhaseColumn();
// spec.storageClassName, or the older annotation.
Column StorageClassColumn();
// The storage of a list of resources.
Column CapacityColumn(Path resources);

}  // namespace keel::orchestrator
