#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/data_check.h"

namespace keel::orchestrator {
namespace {

void Check(const json::object& object, FieldErrors& errors) {
  CheckData(object, {"data", "binaryData"}, errors);
}

}  // namespace

Kind ConfigMapKind() {
  return {
      .version = "v1",
      .kind = "ConfigMap",
      .plural = "configmaps",
      .short_names = {"cm"},
      .types = R"(
# Configuration that pods read as files or variables.
ConfigMap {
  immutable   bool      -- Once true, the data cannot be changed.
  data        {string}  -- Texts by name.
  binaryData  {bytes}   -- Bytes by name, base64.
}
)",
      .columns = {CellColumn("Data", "integer", 0,
                             [](const json::object& object, absl::Time) -> json::value {
                               return ObjectAt(object, {"data"}).size() +
                                      ObjectAt(object, {"binaryData"}).size();
                             }),
                  AgeColumn()},
      .check = Check,
      .check_update =
          [](const json::object& object, const json::object& before, FieldErrors& errors) {
            CheckImmutableData(object, before, {"data", "binaryData"}, errors);
          },
  };
}

}  // namespace keel::orchestrator
