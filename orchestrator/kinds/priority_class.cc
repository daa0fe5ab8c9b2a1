#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/kinds/common/columns.h"

namespace keel::orchestrator {
namespace {

constexpr int64_t kHighestOfUsers = 1'000'000'000;

void Check(const json::object& object, FieldErrors& errors) {
  const std::string_view name = NameOf(object);
  const int64_t value = IntAt(object, {"value"});
  if (name.starts_with("system-")) {
    // The two that every cluster has, and no others.
    const bool known = (name == "system-cluster-critical" && value == 2 * kHighestOfUsers) ||
                       (name == "system-node-critical" && value == 2 * kHighestOfUsers + 1000);
    if (!known) {
      errors.Forbidden("metadata.name",
                       base::StrCat("priority class names with 'system-' prefix are reserved for "
                                    "system use only. error: ",
                                    name, " is not a known system priority class"));
    }
  } else if (value > kHighestOfUsers) {
    errors.Forbidden("value", base::StrCat("maximum allowed value of a user defined priority is ",
                                           kHighestOfUsers));
  }
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  if (IntAt(object, {"value"}) != IntAt(before, {"value"})) {
    errors.Forbidden("value", "may not be changed in an update.");
  }
  if (StringAt(object, {"preemptionPolicy"}) != StringAt(before, {"preemptionPolicy"})) {
    errors.InvalidValue("preemptionPolicy", json::value(StringAt(object, {"preemptionPolicy"})),
                        kImmutable);
  }
}

}  // namespace

Kind PriorityClassKind() {
  return {
      .group = "scheduling.k8s.io",
      .version = "v1",
      .kind = "PriorityClass",
      .plural = "priorityclasses",
      .short_names = {"pc"},
      .namespaced = false,
      .types = R"(
# A name for a priority of pods.
PriorityClass {
  value!            int32   -- Higher is placed first.
  globalDefault     bool    -- Pods without a class get this one.
  description       string  -- When to use it.
  preemptionPolicy  string = "PreemptLowerPriority" enum(Never, PreemptLowerPriority) -- Whether others make room.
}
)",
      .columns = {IntColumn("Value", {"value"}), BoolColumn("Global-Default", {"globalDefault"}),
                  AgeColumn(), TextColumn("PreemptionPolicy", {"preemptionPolicy"})},
      .has_generation = true,
      .check = Check,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
