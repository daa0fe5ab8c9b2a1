#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/pod_check.h"
#include "orchestrator/kinds/common/pod_spec.h"

namespace keel::orchestrator {
namespace {

std::vector<Column> Columns() {
  std::vector<Column> columns = ContainerColumns({"template", "spec"});
  for (Column& column : columns) column.priority = 0;
  return Join(std::move(columns), {MapColumn("Pod Labels", {"template", "metadata", "labels"})});
}

void Check(const json::object& object, FieldErrors& errors) {
  if (const json::value* pods = Find(object, {"template"})) {
    CheckPodTemplate(*pods, "template", errors);
  }
}

}  // namespace

Kind PodTemplateKind() {
  return {
      .version = "v1",
      .kind = "PodTemplate",
      .plural = "podtemplates",
      .types = R"(
# What pods look like that are made of it; nothing makes any by itself.
PodTemplate {
  template!  PodTemplateSpec  -- The pods.
}
)",
      .columns = Columns(),
      .has_generation = true,
      .set_defaults = [](json::object& object) { SetPodTemplateDefaults(object, {"template"}); },
      .check = Check,
  };
}

}  // namespace keel::orchestrator
