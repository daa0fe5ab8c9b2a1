#include "orchestrator/kinds/common/volume_columns.h"

#include "orchestrator/api/meta.h"
#include "orchestrator/api/quantity.h"

namespace keel::orchestrator {

std::string AccessModesText(const json::array& modes) {
  constexpr std::pair<std::string_view, std::string_view> kShort[] = {{"ReadWriteOnce", "RWO"},
                                                                      {"ReadOnlyMany", "ROX"},
                                                                      {"ReadWriteMany", "RWX"},
                                                                      {"ReadWriteOncePod", "RWOP"}};
  std::string out;
  for (const auto& [name, text] : kShort) {
    for (const json::value& mode : modes) {
      if (!mode.is_string() || View(mode.get_string()) != name) continue;
      if (!out.empty()) out += ',';
      out += text;
      break;
    }
  }
  return out;
}

Column PhaseColumn() {
  return CellColumn("Status", "string", 0,
                    [](const json::object& object, absl::Time) -> json::value {
                      if (IsBeingDeleted(object)) return "Terminating";
                      return json::value(StringAt(object, {"status", "phase"}));
                    });
}

Column StorageClassColumn() {
  return CellColumn(
      "StorageClass", "string", 0, [](const json::object& object, absl::Time) -> json::value {
        const std::string_view older = StringAt(
            object, {"metadata", "annotations", "volume.beta.kubernetes.io/storage-class"});
        return json::value(older.empty() ? StringAt(object, {"spec", "storageClassName"}) : older);
      });
}

Column CapacityColumn(Path resources) {
  resources.push_back("storage");
  return CellColumn(
      "Capacity", "string", 0,
      [path = std::move(resources)](const json::object& object, absl::Time) -> json::value {
        const json::value* storage = FindPath(object, path);
        return json::value(storage == nullptr ? "" : Quantity::Of(*storage).ToString());
      });
}

}  // namespace keel::orchestrator
