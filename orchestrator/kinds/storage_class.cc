#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

json::value NameCell(const json::object& object, absl::Time) {
  std::string name(NameOf(object));
  for (const char* annotation : {"storageclass.kubernetes.io/is-default-class",
                                 "storageclass.beta.kubernetes.io/is-default-class"}) {
    if (StringAt(object, {"metadata", "annotations", annotation}) == "true") {
      return json::value(name + " (default)");
    }
  }
  return json::value(name);
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  for (const char* member : {"parameters", "provisioner", "reclaimPolicy"}) {
    const json::value* now = Find(object, {member});
    const json::value* was = Find(before, {member});
    if ((now == nullptr) != (was == nullptr) || (now != nullptr && *now != *was)) {
      errors.Forbidden(member, base::StrCat("updates to ", member, " are forbidden."));
    }
  }
}

}  // namespace

Kind StorageClassKind() {
  Column name = NameColumn();
  name.cell = NameCell;
  return {
      .group = "storage.k8s.io",
      .version = "v1",
      .kind = "StorageClass",
      .plural = "storageclasses",
      .short_names = {"sc"},
      .namespaced = false,
      .types = R"(
# A kind of storage from which volumes are made.
StorageClass {
  provisioner!          string                          -- Who makes the volumes.
  parameters            {string}                        -- What the provisioner is told.
  reclaimPolicy         string = "Delete" enum(Delete, Recycle, Retain) -- What becomes of a volume when its claim is gone.
  mountOptions          [string] atomic                 -- Options to mount the volumes with.
  allowVolumeExpansion  bool                            -- Whether claims may grow.
  volumeBindingMode     string = "Immediate" enum(Immediate, WaitForFirstConsumer) immutable -- When volumes are made and bound.
  allowedTopologies     [TopologySelectorTerm] atomic   -- Where volumes may be made.
}
# Labels of places.
TopologySelectorTerm atomic {
  matchLabelExpressions  [TopologySelectorLabelRequirement] atomic  -- All must hold.
}
# A label of a place.
TopologySelectorLabelRequirement {
  key!     string           -- The label.
  values!  [string] atomic  -- One of these.
}
)",
      .columns = {std::move(name), TextColumn("Provisioner", {"provisioner"}),
                  TextColumn("ReclaimPolicy", {"reclaimPolicy"}, "Delete"),
                  TextColumn("VolumeBindingMode", {"volumeBindingMode"}, "Immediate"),
                  BoolColumn("AllowVolumeExpansion", {"allowVolumeExpansion"}), AgeColumn()},
      .name_column_first = false,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
