#include <algorithm>

#include "base/strings.h"
#include "orchestrator/api/quantity.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/volume_columns.h"

namespace keel::orchestrator {
namespace {

// A volume is shown only once the claim is bound to it.
json::value BoundOnly(const json::object& object, json::value value) {
  return StringAt(object, {"spec", "volumeName"}).empty() ? json::value("") : std::move(value);
}

void Check(const json::object& object, FieldErrors& errors) {
  const json::array& modes = ArrayAt(object, {"spec", "accessModes"});
  if (modes.empty()) {
    errors.Required("spec.accessModes", "at least 1 access mode is required");
  }
  const std::vector<std::string> known = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce",
                                          "ReadWriteOncePod"};
  for (const json::value& mode : modes) {
    if (!mode.is_string() ||
        std::find(known.begin(), known.end(), View(mode.get_string())) == known.end()) {
      errors.NotSupported("spec.accessModes", mode, known);
    }
  }
  const json::value* storage = Find(object, {"spec", "resources", "requests", "storage"});
  if (storage == nullptr) {
    errors.Required("spec.resources[storage]", "");
  } else if (const auto size = Quantity::FromJson(*storage); size.ok() && size->Sign() <= 0) {
    errors.InvalidValue("spec.resources[storage]", json::value(size->ToString()),
                        "must be greater than zero");
  }
  if (const json::value* selector = Find(object, {"spec", "selector"})) {
    CheckLabelSelector(*selector, "spec.selector", errors);
  }
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  json::object now = ObjectAt(object, {"spec"});
  json::object was = ObjectAt(before, {"spec"});
  const Quantity new_size = Quantity::Of(
      now.contains("resources") ? json::value(StringAt(now, {"resources", "requests", "storage"}))
                                : json::value("0"));
  const Quantity old_size =
      Quantity::Of(json::value(StringAt(was, {"resources", "requests", "storage"})));
  const bool bound = StringAt(before, {"status", "phase"}) == "Bound";
  // Binding names the volume; a bound claim may grow.
  if (StringAt(was, {"volumeName"}).empty()) {
    now.erase("volumeName");
    was.erase("volumeName");
  }
  if (bound || new_size == old_size) {
    now.erase("resources");
    was.erase("resources");
  }
  now.erase("volumeAttributesClassName");
  was.erase("volumeAttributesClassName");
  if (!was.contains("storageClassName")) now.erase("storageClassName");
  if (now != was) {
    errors.Forbidden("spec",
                     "spec is immutable after creation except resources.requests and "
                     "volumeAttributesClassName for bound claims\n");
  }
  if (bound && new_size < old_size) {
    errors.Forbidden("spec.resources.requests.storage",
                     "field can not be less than status.capacity");
  }
}

}  // namespace

Kind PersistentVolumeClaimKind() {
  return {
      .version = "v1",
      .kind = "PersistentVolumeClaim",
      .plural = "persistentvolumeclaims",
      .short_names = {"pvc"},
      .types = R"(
# A user's claim to a volume.
PersistentVolumeClaim {
  spec    PersistentVolumeClaimSpec    -- What is asked for.
  status  PersistentVolumeClaimStatus  -- What it has got.
}
)",
      .columns =
          {PhaseColumn(), TextColumn("Volume", {"spec", "volumeName"}),
           CellColumn(
               "Capacity", "string", 0,
               [](const json::object& object, absl::Time now) -> json::value {
                 static const Column& inner = *new Column(CapacityColumn({"status", "capacity"}));
                 return BoundOnly(object, inner.cell(object, now));
               }),
           CellColumn("Access Modes", "string", 0,
                      [](const json::object& object, absl::Time) -> json::value {
                        return BoundOnly(object, json::value(AccessModesText(
                                                     ArrayAt(object, {"status", "accessModes"}))));
                      }),
           StorageClassColumn(),
           TextColumn("VolumeAttributesClass", {"spec", "volumeAttributesClassName"}, "<unset>"),
           AgeColumn(), TextColumn("VolumeMode", {"spec", "volumeMode"}, "<unset>", 1)},
      .has_status = true,
      .prepare =
          [](json::object& object, const json::object* before) {
            ResetStatus(object, before, {{"phase", "Pending"}});
          },
      .check = Check,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
