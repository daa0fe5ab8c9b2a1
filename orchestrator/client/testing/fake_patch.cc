#include "orchestrator/client/testing/fake_patch.h"

#include <algorithm>
#include <string>

#include "orchestrator/api/error.h"

namespace keel::orchestrator::fake {

void Merge(json::value& into, const json::value& patch, bool strategic) {
  if (!patch.is_object()) {
    into = patch;
    return;
  }
  if (!into.is_object()) into = json::object();
  for (const auto& [name, value] : patch.get_object()) {
    if (value.is_null()) {
      into.get_object().erase(name);
      continue;
    }
    json::value& member = into.get_object()[name];
    const std::string_view key = name == "conditions"        ? "type"
                                 : name == "ownerReferences" ? "uid"
                                                             : "";
    if (!strategic || key.empty() || !value.is_array() || !member.is_array()) {
      Merge(member, value, strategic);
      continue;
    }
    json::array& list = member.get_array();
    for (const json::value& item : value.get_array()) {
      auto same = std::find_if(list.begin(), list.end(), [&](const json::value& other) {
        return StringAt(other, {key}) == StringAt(item, {key});
      });
      if (StringAt(item, {"$patch"}) == "delete") {
        if (same != list.end()) list.erase(same);
      } else if (same != list.end()) {
        Merge(*same, item, true);
      } else {
        list.push_back(item);
      }
    }
  }
}

absl::Status ApplyJsonPatch(json::value& object, const json::value& patch) {
  if (!patch.is_array()) return BadRequest("a JSON patch is a list");
  for (const json::value& step : patch.get_array()) {
    const std::string op(StringAt(step, {"op"}));
    boost::system::error_code error;
    const std::string_view pointer = StringAt(step, {"path"});
    const size_t slash = pointer.rfind('/');
    if (slash == std::string_view::npos) return BadRequest("a JSON patch without a path");
    json::value* parent = object.find_pointer({pointer.data(), slash}, error);
    if (parent == nullptr) return Invalid("", "Patch", "", {});
    const std::string last(pointer.substr(slash + 1));
    const json::value* value = Find(step, {"value"});
    if (json::object* in = parent->if_object()) {
      if (op == "test" && (!in->contains(last) || value == nullptr || in->at(last) != *value)) {
        return Invalid("", "Patch", "", {});
      }
      if (op == "remove") in->erase(last);
      if ((op == "add" || op == "replace") && value != nullptr) (*in)[last] = *value;
    } else if (json::array* list = parent->if_array()) {
      const size_t index = last == "-" ? list->size() : std::strtoull(last.c_str(), nullptr, 10);
      if (index > list->size() || (op != "add" && index == list->size())) {
        return Invalid("", "Patch", "", {});
      }
      auto place = list->begin() + static_cast<std::ptrdiff_t>(index);
      if (op == "test" && (value == nullptr || *place != *value)) {
        return Invalid("", "Patch", "", {});
      }
      if (op == "add") list->insert(place, *value);
      if (op == "remove") list->erase(place);
      if (op == "replace") *place = *value;
    }
  }
  return absl::OkStatus();
}

}  // namespace keel::orchestrator::fake
