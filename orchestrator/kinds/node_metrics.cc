#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {

Kind NodeMetricsKind() {
  return {
      .group = "metrics.k8s.io",
      .version = "v1beta1",
      .kind = "NodeMetrics",
      .plural = "nodes",
      .namespaced = false,
      .types = R"(
# What a node uses.
NodeMetrics {
  timestamp!  time        -- When the window ended.
  window!     string      -- Over how long the figures are taken.
  usage!      {quantity}  -- What is used, by resource.
}
)",
      .columns = {TextColumn("cpu", {"usage", "cpu"}), TextColumn("memory", {"usage", "memory"}),
                  TextColumn("Window", {"window"})},
  };
}

}  // namespace keel::orchestrator
