// Strategic merge patch. Merging, its order of items and its directives are as Kubernetes describes
// them: community/contributors/devel/sig-api-machinery/strategic-merge-patch.md, and the design
// proposal "preserve order in strategic merge patch".

#include <algorithm>
#include <numeric>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/patch.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kPatch = "$patch";
constexpr std::string_view kRetainKeys = "$retainKeys";
constexpr std::string_view kDeleteFromList = "$deleteFromPrimitiveList/";
constexpr std::string_view kSetOrder = "$setElementOrder/";

json::string_view Name(std::string_view name) { return {name.data(), name.size()}; }
std::string_view Text(json::string_view text) { return {text.data(), text.size()}; }

bool HasPrefix(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

void Erase(json::object& object, json::string_view name) {
  const auto found = object.find(name);
  if (found != object.end()) object.stable_erase(found);
}

// What the schema says of a member; null where it says nothing.
const Schema* MemberSchema(const Schema* schema, std::string_view name) {
  if (schema == nullptr) return nullptr;
  if (schema->type == FieldType::kMap) return schema->items;
  const Field* field = schema->FindField(name);
  return field == nullptr ? nullptr : field->schema;
}

// By which member items of the list are merged; empty for scalars and lists that are replaced.
std::string_view MergeKey(const Schema* list) {
  if (list == nullptr || list->type != FieldType::kList ||
      list->list_kind != Schema::ListKind::kMap || list->map_keys.empty()) {
    return {};
  }
  return list->map_keys.front();
}

bool IsMerged(const Schema* list) {
  return list != nullptr && list->type == FieldType::kList &&
         (list->merge_scalars || !MergeKey(list).empty());
}

// What is put where nothing was: directives say nothing there, and null is nothing.
void CleanNew(json::value& value) {
  if (json::object* object = value.if_object()) {
    std::vector<std::string> gone;
    for (auto& member : *object) {
      if (member.value().is_null() || member.key() == Name(kPatch) ||
          member.key() == Name(kRetainKeys) || HasPrefix(Text(member.key()), kDeleteFromList) ||
          HasPrefix(Text(member.key()), kSetOrder)) {
        gone.emplace_back(Text(member.key()));
      } else {
        CleanNew(member.value());
      }
    }
    for (const std::string& name : gone) Erase(*object, Name(name));
  } else if (json::array* array = value.if_array()) {
    // An item that is to be deleted, or nothing but a directive, is none.
    array->erase(
        std::remove_if(array->begin(), array->end(),
                       [](const json::value& item) {
                         const json::object* members = item.if_object();
                         return members != nullptr && members->contains(Name(kPatch)) &&
                                (members->size() == 1 || StringAt(item, {kPatch}) == "delete");
                       }),
        array->end());
    for (json::value& item : *array) CleanNew(item);
  }
}

// Where an item stands in a list: by the merge key, or by its value. -1: nowhere.
int64_t IndexOf(const json::array& list, const json::value& item, std::string_view key) {
  auto identity = [key](const json::value& of) {
    if (key.empty()) return &of;
    const json::object* object = of.if_object();
    return object == nullptr ? nullptr : object->if_contains(Name(key));
  };
  const json::value* wanted = identity(item);
  if (wanted == nullptr) return -1;
  for (size_t i = 0; i < list.size(); ++i) {
    const json::value* one = identity(list[i]);
    if (one != nullptr && *one == *wanted) return static_cast<int64_t>(i);
  }
  return -1;
}

// Where the items of a list stood before it was changed; -1 for new ones.
using Positions = std::vector<int64_t>;

Positions Unchanged(const json::array& list) {
  Positions positions(list.size());
  std::iota(positions.begin(), positions.end(), 0);
  return positions;
}

class StrategicPatcher {
 public:
  absl::Status Merge(const Schema* schema, json::object& original, json::object& patch) {
    if (json::value* directive = patch.if_contains(Name(kPatch))) {
      const std::string_view what = directive->is_string() ? View(directive->get_string()) : "";
      if (what == "delete") {
        original.clear();
        return absl::OkStatus();
      }
      if (what == "replace") {
        json::value whole(std::move(patch));
        CleanNew(whole);
        original = std::move(whole.get_object());
        return absl::OkStatus();
      }
      if (what != "merge") {
        return BadRequest(base::StrCat("unknown patch type found in map: ", ToJson(*directive)));
      }
    }
    KEEL_RETURN_IF_ERROR(RetainKeys(original, patch));
    KEEL_RETURN_IF_ERROR(DeleteFromLists(original, patch));
    for (auto& member : patch) {
      const std::string_view name = Text(member.key());
      if (!name.empty() && name.front() == '$' && IsDirective(name)) continue;
      KEEL_RETURN_IF_ERROR(
          MergeMember(MemberSchema(schema, name), name, original, member.value(), patch));
    }
    return OrderOthers(schema, original, patch);
  }

 private:
  static bool IsDirective(std::string_view name) {
    return name == kPatch || name == kRetainKeys || HasPrefix(name, kDeleteFromList) ||
           HasPrefix(name, kSetOrder);
  }

  static absl::Status RetainKeys(json::object& original, const json::object& patch) {
    const json::value* directive = patch.if_contains(Name(kRetainKeys));
    if (directive == nullptr) return absl::OkStatus();
    const json::array* keys = directive->if_array();
    if (keys == nullptr) return BadRequest("invalid patch format of retainKeys: must be a list");
    auto retained = [keys](json::string_view name) {
      return std::any_of(keys->begin(), keys->end(), [name](const json::value& key) {
        return key.is_string() && json::string_view(key.get_string()) == name;
      });
    };
    for (const auto& member : patch) {
      if (member.value().is_null() || IsDirective(Text(member.key()))) continue;
      if (!retained(member.key())) {
        return BadRequest("the list in $retainKeys must name every field of the patch beside it");
      }
    }
    std::vector<std::string> gone;
    for (const auto& member : original) {
      if (!retained(member.key())) gone.emplace_back(Text(member.key()));
    }
    for (const std::string& name : gone) Erase(original, Name(name));
    return absl::OkStatus();
  }

  static absl::Status DeleteFromLists(json::object& original, const json::object& patch) {
    for (const auto& member : patch) {
      if (!HasPrefix(Text(member.key()), kDeleteFromList)) continue;
      const json::array* values = member.value().if_array();
      if (values == nullptr) {
        return BadRequest("invalid patch format of primitive list: must be a list");
      }
      json::value* field =
          original.if_contains(Name(Text(member.key()).substr(kDeleteFromList.size())));
      json::array* list = field == nullptr ? nullptr : field->if_array();
      if (list == nullptr) continue;
      list->erase(std::remove_if(list->begin(), list->end(),
                                 [values](const json::value& item) {
                                   return std::find(values->begin(), values->end(), item) !=
                                          values->end();
                                 }),
                  list->end());
    }
    return absl::OkStatus();
  }

  absl::Status MergeMember(const Schema* schema, std::string_view name, json::object& original,
                           json::value& value, const json::object& patch) {
    if (value.is_null()) {
      Erase(original, Name(name));
      return absl::OkStatus();
    }
    json::value* before = original.if_contains(Name(name));
    if (value.is_object()) {
      if (before == nullptr || !before->is_object())
        before = &(original[Name(name)] = json::object());
      // Merging into nothing cleans it of nulls and directives on the way.
      return Merge(schema, before->get_object(), value.get_object());
    }
    if (value.is_array() && IsMerged(schema)) {
      if (before == nullptr || !before->is_array())
        before = &(original[Name(name)] = json::array());
      KEEL_ASSIGN_OR_RETURN(const json::array* order, OrderOf(name, patch));
      return MergeList(*schema, before->get_array(), value.get_array(), order);
    }
    CleanNew(value);
    original[Name(name)] = std::move(value);
    return absl::OkStatus();
  }

  // The list of $setElementOrder for a field; null when the patch has none.
  static absl::StatusOr<const json::array*> OrderOf(std::string_view name,
                                                    const json::object& patch) {
    const json::value* order = patch.if_contains(Name(base::StrCat(kSetOrder, name)));
    if (order == nullptr) return nullptr;
    if (!order->is_array()) {
      return BadRequest("invalid patch format of setElementOrder list: must be a list");
    }
    return &order->get_array();
  }

  // Lists of which the patch says only the order.
  static absl::Status OrderOthers(const Schema* schema, json::object& original,
                                  const json::object& patch) {
    for (const auto& member : patch) {
      const std::string_view directive = Text(member.key());
      if (!HasPrefix(directive, kSetOrder)) continue;
      const std::string_view name = directive.substr(kSetOrder.size());
      if (patch.contains(Name(name))) continue;
      const Schema* list_schema = MemberSchema(schema, name);
      json::value* list = original.if_contains(Name(name));
      if (list == nullptr || !list->is_array() || !IsMerged(list_schema)) continue;
      KEEL_ASSIGN_OR_RETURN(const json::array* order, OrderOf(name, patch));
      Arrange(list->get_array(), *order, Unchanged(list->get_array()), MergeKey(list_schema));
    }
    return absl::OkStatus();
  }

  absl::Status MergeList(const Schema& schema, json::array& original, json::array& patch,
                         const json::array* order) {
    const std::string_view key = MergeKey(&schema);
    Positions before = Unchanged(original);
    if (key.empty()) {
      for (json::value& item : patch) {
        if (item.is_object() || item.is_array()) {
          return BadRequest("a list of scalars cannot be merged with objects or lists");
        }
        if (IndexOf(original, item, key) >= 0) continue;
        original.push_back(item);
        before.push_back(-1);
      }
    } else {
      KEEL_RETURN_IF_ERROR(MergeItems(schema, key, original, patch, before));
    }
    if (order != nullptr) {
      KEEL_RETURN_IF_ERROR(CheckOrder(patch, *order, key));
    }
    Arrange(original, order == nullptr ? patch : *order, before, key);
    return absl::OkStatus();
  }

  absl::Status MergeItems(const Schema& schema, std::string_view key, json::array& original,
                          json::array& patch, Positions& before) {
    // Directives first: they are about the list as it was.
    json::array items;
    for (json::value& item : patch) {
      const json::object* object = item.if_object();
      if (object == nullptr) {
        return BadRequest(base::StrCat("expected objects with ", key, " in a list of the patch"));
      }
      const json::value* directive = object->if_contains(Name(kPatch));
      const std::string_view what =
          directive != nullptr && directive->is_string() ? View(directive->get_string()) : "";
      if (directive == nullptr || what == "merge") {
        items.push_back(std::move(item));
      } else if (what == "delete") {
        if (!object->contains(Name(key))) return NoMergeKey(item, key);
        int64_t at = 0;
        while ((at = IndexOf(original, item, key)) >= 0) {
          original.erase(original.begin() + at);
          before.erase(before.begin() + at);
        }
      } else if (what == "replace") {
        original.clear();
        before.clear();
        // Mostly it stands alone, for the list; else it is an item too.
        if (object->size() > 1) items.push_back(std::move(item));
      } else {
        return BadRequest(base::StrCat("unknown patch type found in list: ", ToJson(*directive)));
      }
    }
    patch = std::move(items);
    for (json::value& item : patch) {
      json::object& members = item.get_object();
      if (!members.contains(Name(key))) return NoMergeKey(item, key);
      Erase(members, Name(kPatch));
      int64_t at = IndexOf(original, item, key);
      if (at < 0) {
        at = static_cast<int64_t>(original.size());
        original.push_back(json::object());
        before.push_back(-1);
      }
      // The key is needed afterwards, for the order.
      json::object identity{{Name(key), members.at(Name(key))}};
      KEEL_RETURN_IF_ERROR(
          Merge(schema.items, original[static_cast<size_t>(at)].get_object(), members));
      item = std::move(identity);
    }
    return absl::OkStatus();
  }

  static absl::Status NoMergeKey(const json::value& item, std::string_view key) {
    return BadRequest(
        base::StrCat("map: ", ToJson(item), " does not contain declared merge key: ", key));
  }

  // What the patch names must stand in its order, in that order.
  static absl::Status CheckOrder(const json::array& patch, const json::array& order,
                                 std::string_view key) {
    int64_t last = -1;
    for (const json::value& item : patch) {
      const int64_t at = IndexOf(order, item, key);
      if (at <= last) {
        return BadRequest(base::StrCat("The order in patch list:\n", ToJson(patch),
                                       "\n doesn't match $setElementOrder list:\n", ToJson(order),
                                       "\n"));
      }
      last = at;
    }
    return absl::OkStatus();
  }

  // Items that `order` names come in its order; the others stay where they were among those, as far
  // as both were there `before`.
  static void Arrange(json::array& list, const json::array& order, const Positions& before,
                      std::string_view key) {
    struct Placed {
      int64_t in_order;
      int64_t before;
      size_t index;
    };
    std::vector<Placed> named, others;
    for (size_t i = 0; i < list.size(); ++i) {
      const Placed placed{IndexOf(order, list[i], key), before[i], i};
      (placed.in_order >= 0 ? named : others).push_back(placed);
    }
    std::stable_sort(named.begin(), named.end(),
                     [](const Placed& a, const Placed& b) { return a.in_order < b.in_order; });
    std::stable_sort(others.begin(), others.end(),
                     [](const Placed& a, const Placed& b) { return a.before < b.before; });
    json::array arranged;
    arranged.reserve(list.size());
    auto name = named.begin();
    auto other = others.begin();
    while (name != named.end() || other != others.end()) {
      const bool take_other =
          name == named.end() || (other != others.end() && other->before >= 0 &&
                                  name->before >= 0 && other->before < name->before);
      arranged.push_back(std::move(list[take_other ? (other++)->index : (name++)->index]));
    }
    list = std::move(arranged);
  }
};

}  // namespace

absl::Status ApplyStrategicMergePatch(const Schema& schema, json::value& object,
                                      json::value patch) {
  if (!patch.is_object()) return BadRequest("a strategic merge patch must be an object");
  if (!object.is_object()) object = json::object();
  return StrategicPatcher().Merge(&schema, object.get_object(), patch.get_object());
}

}  // namespace keel::orchestrator
