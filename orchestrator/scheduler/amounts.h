// Amounts of resources as JSON carries them ("500m", "1Gi", "2e3", 4), and images' names.
//
// Thread-safety: free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "orchestrator/api/json.h"
#include "orchestrator/scheduler/pod_info.h"

namespace keel::orchestrator::sched {

// `value` times `scale`, rounded away from zero and cut to 2^62 either way; 0 when it is no
// quantity. REQUIRES: scale is 1 or 1000.
int64_t AmountOf(const json::value& value, int64_t scale = 1);
// A map of resource names to quantities; cpu in thousandths.
Resources ParseResources(const json::object& amounts, Vocabulary& words);
// With ":latest" where neither tag nor digest is given.
std::string NormalizedImage(std::string_view image);

}  // namespace keel::orchestrator::sched
