#include "orchestrator/api/apply_walk.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/json_compare.h"

namespace keel::orchestrator {
namespace {

std::string_view Text(json::string_view text) { return {text.data(), text.size()}; }

const Schema& Unknown() {
  static const Schema& any = *new Schema();
  return any;
}

// Whether the value is looked into rather than taken as one field.
bool IsGranular(const Schema& schema, const json::value& value) {
  switch (schema.type) {
    case FieldType::kObject:
    case FieldType::kMap:
      return value.is_object() && !schema.atomic;
    case FieldType::kList:
      return value.is_array() && schema.list_kind != Schema::ListKind::kAtomic;
    default:
      return false;
  }
}

// Members that no schema names (CRDs that keep them) are fields of their own.
const Schema& MemberSchema(const Schema& schema, std::string_view name) {
  if (schema.type == FieldType::kMap) return *schema.items;
  const Field* field = schema.FindField(name);
  return field == nullptr ? Unknown() : *field->schema;
}

std::string MemberElement(std::string_view name) { return base::StrCat("f:", name); }

// The element of an item: "k:{...}" or "v:...".
std::string ItemElement(const Schema& list, const json::value& item) {
  if (list.list_kind == Schema::ListKind::kSet) return "v:" + CanonicalJson(item);
  json::object keys;
  for (const std::string& key : list.map_keys) {
    if (const json::value* value = KeyOf(list, key, item)) keys[key] = *value;
  }
  return "k:" + CanonicalJson(keys);
}

using Items = absl::flat_hash_map<std::string, size_t>;

// Where each item stands; of those with the same keys the first.
Items IndexItems(const Schema& list, const json::array& array) {
  Items items;
  items.reserve(array.size());
  for (size_t i = 0; i < array.size(); ++i) items.try_emplace(ItemElement(list, array[i]), i);
  return items;
}

bool IsEmpty(const json::value& value) {
  return (value.is_object() && value.get_object().empty()) ||
         (value.is_array() && value.get_array().empty());
}

class Comparer {
 public:
  // One of both is there. What is found goes one element below `changed` and `removed`.
  static void Compare(const Schema& schema, const json::value* before, const json::value* now,
                      std::string element, FieldSet& changed, FieldSet& removed) {
    const bool granular =
        (before == nullptr || (IsGranular(schema, *before) && !IsEmpty(*before))) &&
        (now == nullptr || (IsGranular(schema, *now) && !IsEmpty(*now)));
    if (!granular) {
      if (now == nullptr) {
        removed.Put(std::move(element), true, {});
      } else if (before == nullptr || *before != *now) {
        // What it was before, if it was more than one field, is gone.
        if (before != nullptr && IsGranular(schema, *before) && !IsEmpty(*before)) {
          FieldSet gone, none;
          Below(schema, before, nullptr, none, gone);
          removed.Put(element, false, std::move(gone));
        }
        FieldSet all, none;
        if (IsGranular(schema, *now)) Below(schema, nullptr, now, all, none);
        changed.Put(std::move(element), true, std::move(all));
      }
      return;
    }
    FieldSet changed_below, removed_below;
    Below(schema, before, now, changed_below, removed_below);
    // Objects are there of themselves, maps and items are not.
    const bool is_field = schema.type != FieldType::kObject || element[0] == 'k';
    changed.Put(element, before == nullptr && is_field, std::move(changed_below));
    removed.Put(std::move(element), now == nullptr, std::move(removed_below));
  }

  static void Below(const Schema& schema, const json::value* before, const json::value* now,
                    FieldSet& changed, FieldSet& removed) {
    if (schema.type == FieldType::kList) {
      Items(schema, before, now, changed, removed);
      return;
    }
    const json::object* old_members = before == nullptr ? nullptr : before->if_object();
    const json::object* members = now == nullptr ? nullptr : now->if_object();
    if (members != nullptr) {
      for (const auto& member : *members) {
        if (member.value().is_null()) continue;
        const json::value* old =
            old_members == nullptr ? nullptr : old_members->if_contains(member.key());
        if (old != nullptr && old->is_null()) old = nullptr;
        Compare(MemberSchema(schema, Text(member.key())), old, &member.value(),
                MemberElement(Text(member.key())), changed, removed);
      }
    }
    if (old_members == nullptr) return;
    for (const auto& member : *old_members) {
      if (member.value().is_null()) continue;
      const json::value* same = members == nullptr ? nullptr : members->if_contains(member.key());
      if (same != nullptr && !same->is_null()) continue;
      Compare(MemberSchema(schema, Text(member.key())), &member.value(), nullptr,
              MemberElement(Text(member.key())), changed, removed);
    }
  }

  static void Items(const Schema& schema, const json::value* before, const json::value* now,
                    FieldSet& changed, FieldSet& removed) {
    static const json::array& none = *new json::array();
    const json::array& old_items = before == nullptr ? none : before->get_array();
    const json::array& items = now == nullptr ? none : now->get_array();
    const orchestrator::Items old_at = IndexItems(schema, old_items);
    const orchestrator::Items at = IndexItems(schema, items);
    for (const auto& [element, index] : at) {
      const auto old = old_at.find(element);
      Compare(*schema.items, old == old_at.end() ? nullptr : &old_items[old->second], &items[index],
              element, changed, removed);
    }
    for (const auto& [element, index] : old_at) {
      if (at.contains(element)) continue;
      Compare(*schema.items, &old_items[index], nullptr, element, changed, removed);
    }
  }
};

absl::Status CheckItems(const Schema& schema, const json::array& array) {
  absl::flat_hash_set<std::string> seen;
  for (const json::value& item : array) {
    if (schema.list_kind == Schema::ListKind::kMap) {
      for (const std::string& key : schema.map_keys) {
        if (KeyOf(schema, key, item) == nullptr && schema.map_keys.size() == 1) {
          return BadRequest(
              base::StrCat("element of a list lacks its key \"", key, "\": ", ToJson(item)));
        }
      }
    }
    std::string element = ItemElement(schema, item);
    if (seen.contains(element)) {
      return BadRequest(base::StrCat("duplicate entries for key [", element.substr(2), "]"));
    }
    seen.insert(std::move(element));
  }
  return absl::OkStatus();
}

void MergeItems(const Schema& schema, json::array& live, const json::array& config) {
  const Items config_at = IndexItems(schema, config);
  std::vector<std::string> live_elements;
  live_elements.reserve(live.size());
  Items live_at;
  for (size_t i = 0; i < live.size(); ++i) {
    live_elements.push_back(ItemElement(schema, live[i]));
    live_at.try_emplace(live_elements.back(), i);
  }
  json::array out;
  out.reserve(live.size() + config.size());
  size_t at = 0;
  // Items that only the live object has, as far as the next one that both have.
  auto take_others = [&] {
    while (at < live.size() && !config_at.contains(live_elements[at])) {
      out.push_back(std::move(live[at++]));
    }
  };
  for (const json::value& item : config) {
    const auto same = live_at.find(ItemElement(schema, item));
    if (same == live_at.end()) {
      out.push_back(item);
      continue;
    }
    take_others();
    // Both have it; what stands at `at` was or will be taken by its own turn.
    if (at < live.size()) ++at;
    json::value merged = std::move(live[same->second]);
    MergeConfig(*schema.items, merged, item);
    out.push_back(std::move(merged));
  }
  for (; at < live.size(); ++at) {
    if (!config_at.contains(live_elements[at])) out.push_back(std::move(live[at]));
  }
  live = std::move(out);
}

// Whether nothing is left of the value.
bool Remove(const Schema& schema, json::value& value, const FieldSet& fields) {
  if (!IsGranular(schema, value) || fields.empty()) return false;
  if (json::object* object = value.if_object()) {
    std::vector<std::string> gone;
    for (const FieldNode& node : fields.nodes()) {
      if (node.element[0] != 'f') continue;
      const std::string_view name = std::string_view(node.element).substr(2);
      json::value* member = object->if_contains(json::string_view(name.data(), name.size()));
      if (member == nullptr) continue;
      if (node.member || Remove(MemberSchema(schema, name), *member, node.below)) {
        gone.emplace_back(name);
      }
    }
    for (const std::string& name : gone) object->stable_erase(object->find(name));
    return !gone.empty() && object->empty();
  }
  json::array& array = value.get_array();
  const size_t before = array.size();
  json::array left;
  left.reserve(before);
  for (json::value& item : array) {
    const FieldNode* node = fields.Find(ItemElement(schema, item));
    if (node != nullptr && (node->member || Remove(*schema.items, item, node->below))) continue;
    left.push_back(std::move(item));
  }
  array = std::move(left);
  return array.empty() && before > 0;
}

}  // namespace

absl::Status CheckKeys(const Schema& schema, const json::value& value) {
  if (!IsGranular(schema, value)) return absl::OkStatus();
  if (const json::object* object = value.if_object()) {
    for (const auto& member : *object) {
      KEEL_RETURN_IF_ERROR(CheckKeys(MemberSchema(schema, Text(member.key())), member.value()));
    }
    return absl::OkStatus();
  }
  KEEL_RETURN_IF_ERROR(CheckItems(schema, value.get_array()));
  for (const json::value& item : value.get_array()) {
    KEEL_RETURN_IF_ERROR(CheckKeys(*schema.items, item));
  }
  return absl::OkStatus();
}

FieldSet SetOf(const Schema& schema, const json::value& value) {
  FieldSet set;
  if (!IsGranular(schema, value)) return set;
  if (const json::object* object = value.if_object()) {
    for (const auto& member : *object) {
      const Schema& of = MemberSchema(schema, Text(member.key()));
      const bool granular = IsGranular(of, member.value());
      // An empty list that is looked into says nothing; an empty object says that it is there. Keys
      // of maps are fields, whatever is below them.
      const bool is_member = !granular || schema.type == FieldType::kMap ||
                             (member.value().is_object() && member.value().get_object().empty());
      set.Put(MemberElement(Text(member.key())), is_member, SetOf(of, member.value()));
    }
    return set;
  }
  for (const json::value& item : value.get_array()) {
    set.Put(ItemElement(schema, item), true, SetOf(*schema.items, item));
  }
  return set;
}

Changes Compare(const Schema& schema, const json::value& before, const json::value& now) {
  Changes changes;
  Comparer::Below(schema, before.is_object() ? &before : nullptr, now.is_object() ? &now : nullptr,
                  changes.changed, changes.removed);
  return changes;
}

void MergeConfig(const Schema& schema, json::value& object, const json::value& config) {
  if (!IsGranular(schema, config)) {
    object = config;
    return;
  }
  if (const json::object* members = config.if_object()) {
    if (!object.is_object()) object = json::object();
    json::object& into = object.get_object();
    for (const auto& member : *members) {
      MergeConfig(MemberSchema(schema, Text(member.key())), into[member.key()], member.value());
    }
    return;
  }
  if (!object.is_array()) object = json::array();
  MergeItems(schema, object.get_array(), config.get_array());
}

void RemoveFields(const Schema& schema, json::value& object, const FieldSet& fields) {
  Remove(schema, object, fields);
}

}  // namespace keel::orchestrator
