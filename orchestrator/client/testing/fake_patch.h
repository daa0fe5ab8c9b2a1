// Patches, as the fake API server applies them.
//
// Thread-safety: free functions.
#pragma once

#include "absl/status/status.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator::fake {

// RFC 7396; with `strategic`, the lists that controllers patch strategically are merged by key:
// conditions by type, ownerReferences by uid.
void Merge(json::value& into, const json::value& patch, bool strategic);
// RFC 6902, but for copy and move. BadRequest, Invalid.
absl::Status ApplyJsonPatch(json::value& object, const json::value& patch);

}  // namespace keel::orchestrator::fake
