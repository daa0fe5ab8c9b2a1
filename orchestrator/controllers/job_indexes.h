// The indexes of an Indexed job as status.completedIndexes writes them: "0-3,5".
//
//   std::vector<bool> done = IndexesOf("0-1,3", 5);   // 1 1 0 1 0
//   IndexesText(done);                                // "0,1,3": a range is of three or more
//
// Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

// Those below `completions`; what does not parse is left out.
std::vector<bool> IndexesOf(std::string_view text, int64_t completions);
std::string IndexesText(const std::vector<bool>& indexes);
// -1 when the pod has none.
int64_t CompletionIndexOf(const PodInfo& pod);

}  // namespace keel::orchestrator
