#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

// "statefulset.apps/web": the kind with its group.
json::value ControllerCell(const json::object& object, absl::Time) {
  const json::object* owner = ControllerOf(object);
  if (owner == nullptr) return "<none>";
  std::string kind(StringAt(*owner, {"kind"}));
  for (char& c : kind) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  const std::string_view version = StringAt(*owner, {"apiVersion"});
  if (const size_t slash = version.find('/'); slash != std::string_view::npos) {
    kind += base::StrCat(".", version.substr(0, slash));
  }
  return json::value(base::StrCat(kind, "/", StringAt(*owner, {"name"})));
}

}  // namespace

Kind ControllerRevisionKind() {
  return {
      .group = "apps",
      .version = "v1",
      .kind = "ControllerRevision",
      .plural = "controllerrevisions",
      .types = R"(
# A state of a StatefulSet or DaemonSet to which one may go back.
ControllerRevision {
  data       any immutable  -- The state.
  revision!  int64          -- Higher is newer.
}
)",
      .columns = {CellColumn("Controller", "string", 0, ControllerCell),
                  IntColumn("Revision", {"revision"}), AgeColumn()},
      .check =
          [](const json::object& object, FieldErrors& errors) {
            const int64_t revision = IntAt(object, {"revision"});
            if (revision < 0) errors.InvalidValue("revision", revision, kNotNegative);
            if (Find(object, {"data"}) == nullptr) errors.Required("data", "data is mandatory");
          },
  };
}

}  // namespace keel::orchestrator
