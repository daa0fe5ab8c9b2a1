#include "orchestrator/kinds/all_kinds.h"
#include "orchestrator/kinds/common/autoscaling.h"
#include "orchestrator/kinds/common/job_spec.h"
#include "orchestrator/kinds/common/rbac.h"
#include "orchestrator/kinds/common/review_types.h"
#include "orchestrator/kinds/common/types.h"

namespace keel::orchestrator {

std::vector<std::string> CommonTypes() {
  return {kMetaTypes,        kScaleTypes,     kContainerTypes, kSecurityTypes,  kVolumeTypes,
          kClaimTypes,       kPlacementTypes, kPodTypes,       kPodStatusTypes, kJobTypes,
          kAutoscalingTypes, kRbacTypes,      kReviewTypes};
}

}  // namespace keel::orchestrator
