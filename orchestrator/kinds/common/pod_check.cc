#include "orchestrator/kinds/common/pod_check.h"

#include <set>

#include "base/strings.h"
#include "orchestrator/api/names.h"

namespace keel::orchestrator {
namespace {

void CheckContainers(const json::object& spec, std::string_view path, std::string_view member,
                     std::set<std::string_view>& names, FieldErrors& errors) {
  size_t i = 0;
  for (const json::value& container : ArrayAt(spec, {member})) {
    const std::string field = base::StrCat(path, ".", member, "[", i++, "]");
    const std::string_view name = StringAt(container, {"name"});
    if (name.empty()) {
      errors.Required(field + ".name", "");
    } else {
      for (const std::string& wrong : CheckDns1123Label(name)) {
        errors.InvalidValue(field + ".name", json::value(name), wrong);
      }
      if (!names.insert(name).second) errors.Duplicate(field + ".name", json::value(name));
    }
    if (StringAt(container, {"image"}).empty()) errors.Required(field + ".image", "");
  }
}

}  // namespace

void CheckPodSpec(const json::object& spec, std::string_view path, FieldErrors& errors) {
  std::set<std::string_view> names;
  if (ArrayAt(spec, {"containers"}).empty()) {
    errors.Required(base::StrCat(path, ".containers"), "");
  }
  CheckContainers(spec, path, "containers", names, errors);
  CheckContainers(spec, path, "initContainers", names, errors);
}

void CheckPodTemplate(const json::value& pod_template, std::string_view path, FieldErrors& errors) {
  CheckPodSpec(ObjectAt(pod_template, {"spec"}), base::StrCat(path, ".spec"), errors);
}

}  // namespace keel::orchestrator
