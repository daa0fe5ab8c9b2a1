#include "orchestrator/api/quantity.h"
#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

// What the containers use of a resource together.
Column UsageColumn(std::string resource) {
  return {.name = resource, .cell = [resource](const json::object& object, absl::Time) {
            Quantity sum;
            for (const json::value& container : ArrayAt(object, {"containers"})) {
              const json::value* used = Find(container, {"usage", resource});
              if (used != nullptr) sum += Quantity::Of(*used);
            }
            return json::value(sum.ToString());
          }};
}

}  // namespace

Kind PodMetricsKind() {
  return {
      .group = "metrics.k8s.io",
      .version = "v1beta1",
      .kind = "PodMetrics",
      .plural = "pods",
      .types = R"(
# What the containers of a pod use.
PodMetrics {
  timestamp!   time                -- When the window ended.
  window!      string              -- Over how long the figures are taken.
  containers!  [ContainerMetrics]  -- What each of them uses.
}
# What a container uses.
ContainerMetrics {
  name!   string      -- The name of the container.
  usage!  {quantity}  -- What is used, by resource.
}
)",
      .columns = {UsageColumn("cpu"), UsageColumn("memory"), TextColumn("Window", {"window"})},
  };
}

}  // namespace keel::orchestrator
