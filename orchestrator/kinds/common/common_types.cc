#include "orchestrator/kinds/all_kinds.h"
#include "orchestrator/kinds/common/types.h"

namespace keel::orchestrator {

std::vector<std::string> CommonTypes() {
  return {kMetaTypes,  kScaleTypes,     kContainerTypes, kSecurityTypes, kVolumeTypes,
          kClaimTypes, kPlacementTypes, kPodTypes,       kPodStatusTypes};
}

}  // namespace keel::orchestrator
