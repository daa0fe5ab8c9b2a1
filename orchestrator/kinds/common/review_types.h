// Types that the reviews share.
#pragma once

namespace keel::orchestrator {

extern const char kReviewTypes[];  // UserInfo, ResourceAttributes, SubjectAccessReviewStatus, ...

}  // namespace keel::orchestrator
