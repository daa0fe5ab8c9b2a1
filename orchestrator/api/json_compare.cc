#include "orchestrator/api/json_compare.h"

#include <algorithm>
#include <vector>

namespace keel::orchestrator {
namespace {

void Append(const json::value& value, std::string& out) {
  if (const json::object* object = value.if_object()) {
    std::vector<const json::key_value_pair*> members;
    members.reserve(object->size());
    for (const json::key_value_pair& member : *object) members.push_back(&member);
    std::sort(members.begin(), members.end(),
              [](const auto* a, const auto* b) { return a->key() < b->key(); });
    out += '{';
    for (const json::key_value_pair* member : members) {
      if (out.back() != '{') out += ',';
      out += json::serialize(member->key());
      out += ':';
      Append(member->value(), out);
    }
    out += '}';
  } else if (const json::array* array = value.if_array()) {
    out += '[';
    for (size_t i = 0; i < array->size(); ++i) {
      if (i > 0) out += ',';
      Append((*array)[i], out);
    }
    out += ']';
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

std::string CanonicalJson(const json::value& value) {
  std::string out;
  Append(value, out);
  return out;
}

const json::value* KeyOf(const Schema& list, const std::string& key, const json::value& item) {
  const json::object* object = item.if_object();
  if (object == nullptr) return nullptr;
  const json::value* found = object->if_contains(json::string_view(key.data(), key.size()));
  if (found != nullptr && !found->is_null()) return found;
  const Field* field = list.items->FindField(key);
  if (field == nullptr || !field->schema->default_value.has_value()) return nullptr;
  return &*field->schema->default_value;
}

bool SameKeys(const Schema& list, const json::value& a, const json::value& b) {
  for (const std::string& key : list.map_keys) {
    const json::value* of_a = KeyOf(list, key, a);
    const json::value* of_b = KeyOf(list, key, b);
    if ((of_a == nullptr) != (of_b == nullptr)) return false;
    if (of_a != nullptr && *of_a != *of_b) return false;
  }
  return true;
}

}  // namespace keel::orchestrator
