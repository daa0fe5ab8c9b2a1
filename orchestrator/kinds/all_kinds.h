// The kinds that Keel's API server has from the start: one file each in this folder.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

std::vector<Kind> AllKinds();
// Types that several kinds use: ObjectMeta, LabelSelector, PodSpec, ...
std::vector<std::string> CommonTypes();

inline absl::StatusOr<std::unique_ptr<KindRegistry>> MakeKindRegistry() {
  return KindRegistry::Create(AllKinds(), CommonTypes());
}

}  // namespace keel::orchestrator
