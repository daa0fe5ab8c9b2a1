#include "orchestrator/kinds/common/prepare.h"

namespace keel::orchestrator {

void ResetStatus(json::object& object, const json::object* before, json::object initial) {
  if (before == nullptr) {
    object["status"] = std::move(initial);
  } else if (const json::value* old = before->if_contains("status")) {
    object["status"] = *old;
  } else {
    object.erase("status");
  }
}

void KeepIfMissing(json::object& object, const json::object* before, JsonPath path) {
  if (before == nullptr) return;
  const json::value* now = Find(object, path);
  if (now != nullptr && !now->is_null() && !(now->is_string() && now->get_string().empty())) return;
  if (const json::value* old = Find(*before, path)) *Ensure(object, path) = *old;
}

void SetDefault(json::object& object, std::string_view member, json::value value) {
  json::value& slot = object[json::string_view(member.data(), member.size())];
  if (slot.is_null()) slot = std::move(value);
}

json::object* ObjectIn(json::object& in, JsonPath path) {
  json::value* found = Find(in, path);
  return found == nullptr ? nullptr : found->if_object();
}
json::array* ArrayIn(json::object& in, JsonPath path) {
  json::value* found = Find(in, path);
  return found == nullptr ? nullptr : found->if_array();
}

}  // namespace keel::orchestrator
