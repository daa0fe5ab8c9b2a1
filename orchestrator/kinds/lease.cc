#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

void Check(const json::object& object, FieldErrors& errors) {
  auto positive = [&](std::string_view member, bool zero_is_fine) {
    const json::value* value = Find(object, {"spec", member});
    if (value == nullptr || !value->is_int64()) return;
    const int64_t n = value->get_int64();
    if (n > 0 || (n == 0 && zero_is_fine)) return;
    errors.InvalidValue(
        "spec." + std::string(member), *value,
        zero_is_fine ? "must be greater than or equal to 0" : "must be greater than 0");
  };
  positive("leaseDurationSeconds", false);
  positive("leaseTransitions", true);
}

}  // namespace

Kind LeaseKind() {
  return {
      .group = "coordination.k8s.io",
      .version = "v1",
      .kind = "Lease",
      .plural = "leases",
      .types = R"(
# Who holds something, and until when; renewed by its holder.
Lease {
  spec  LeaseSpec  -- The holder and its times.
}
# The holder of a lease and its times.
LeaseSpec {
  holderIdentity        string     -- Who holds it.
  leaseDurationSeconds  int32      -- For how long after renewTime others must wait.
  acquireTime           microtime  -- When the holder got it.
  renewTime             microtime  -- When the holder last renewed it.
  leaseTransitions      int32      -- How often it changed hands.
  strategy              string     -- How the next holder is picked.
  preferredHolder       string     -- Who should get it next.
}
)",
      .columns = {TextColumn("Holder", {"spec", "holderIdentity"}), AgeColumn()},
      .can_update_without_version = false,
      .can_create_by_update = true,
      .check = Check,
  };
}

}  // namespace keel::orchestrator
