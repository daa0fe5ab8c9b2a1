#include "base/strings.h"
#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

json::value ParametersCell(const json::object& object, absl::Time) {
  const json::value* parameters = Find(object, {"spec", "parameters"});
  if (parameters == nullptr) return "<none>";
  std::string kind(StringAt(*parameters, {"kind"}));
  if (const std::string_view group = StringAt(*parameters, {"apiGroup"}); !group.empty()) {
    kind += base::StrCat(".", group);
  }
  return json::value(base::StrCat(kind, "/", StringAt(*parameters, {"name"})));
}

}  // namespace

Kind IngressClassKind() {
  return {
      .group = "networking.k8s.io",
      .version = "v1",
      .kind = "IngressClass",
      .plural = "ingressclasses",
      .namespaced = false,
      .types = R"(
# Who looks after ingresses of a class.
IngressClass {
  spec  IngressClassSpec  -- The controller.
}
# The controller of a class.
IngressClassSpec {
  controller  string immutable  -- Its name.
  parameters  IngressClassParametersReference  -- Its settings.
}
# Names the settings of a controller.
IngressClassParametersReference {
  apiGroup   string             -- Group of the object.
  kind!      string             -- Kind of the object.
  name!      string             -- Name of the object.
  scope      string = "Cluster" enum(Cluster, Namespace) -- Cluster or Namespace.
  namespace  string             -- Namespace of the object.
}
)",
      .columns = {TextColumn("Controller", {"spec", "controller"}),
                  CellColumn("Parameters", "string", 0, ParametersCell), AgeColumn()},
      .has_generation = true,
  };
}

}  // namespace keel::orchestrator
