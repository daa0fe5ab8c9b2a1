#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/types.h"

namespace keel::orchestrator {
namespace {

// Only the finalize subresource changes spec.finalizers; what a namespace is made with holds it
// until its contents are gone. Every namespace carries its name as a label.
void Prepare(json::object& object, const json::object* before) {
  if (before == nullptr) {
    object["spec"] = json::object{{"finalizers", json::array{"kubernetes"}}};
  } else if (const json::value* spec = before->if_contains("spec")) {
    object["spec"] = *spec;
  }
  ResetStatus(object, before, {{"phase", "Active"}});
}

void SetDefaults(json::object& object) {
  const std::string name(StringAt(object, {"metadata", "name"}));
  if (name.empty()) return;
  *Ensure(object, {"metadata", "labels", "kubernetes.io/metadata.name"}) = name;
}

}  // namespace

Kind NamespaceKind() {
  return {
      .version = "v1",
      .kind = "Namespace",
      .plural = "namespaces",
      .short_names = {"ns"},
      .namespaced = false,
      .types = R"(
# A space of names for objects of other kinds.
Namespace {
  spec    NamespaceSpec    -- How the namespace behaves.
  status  NamespaceStatus  -- Whether it is in use or ends.
}
# How a namespace behaves.
NamespaceSpec {
  finalizers  [string] atomic  -- Must be empty before the namespace is removed.
}
# Whether a namespace is in use or ends.
NamespaceStatus {
  phase       string                           -- Active or Terminating.
  conditions  [NamespaceCondition] key(type) dups   -- What holds up its end.
}
)" + ConditionType("Namespace"),
      .columns = {TextColumn("Status", {"status", "phase"}), AgeColumn()},
      .has_status = true,
      .selectable_fields = {"status.phase"},
      .name_rule = Kind::NameRule::kLabel,
      .set_defaults = SetDefaults,
      .prepare = Prepare,
  };
}

}  // namespace keel::orchestrator
