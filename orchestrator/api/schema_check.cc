// What judges an object by its schema.

#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_set.h"
#include "base/strings.h"
#include "orchestrator/api/field_path.h"
#include "orchestrator/api/json_compare.h"
#include "orchestrator/api/pattern.h"
#include "orchestrator/api/schema.h"
#include "orchestrator/api/value_rules.h"

namespace keel::orchestrator {
namespace {

json::string_view Name(const std::string& name) { return {name.data(), name.size()}; }
std::string_view View(json::string_view text) { return {text.data(), text.size()}; }

bool Digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// RFC 3339: 2006-01-02T15:04:05[.999999](Z|+07:00).
bool IsTime(std::string_view text) {
  static constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd";
  if (text.size() < kShape.size() + 1) return false;
  for (size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != kShape[i]) return false;
  }
  auto two = [text](size_t at) { return (text[at] - '0') * 10 + (text[at + 1] - '0'); };
  if (two(5) < 1 || two(5) > 12 || two(8) < 1 || two(8) > 31 || two(11) > 23 || two(14) > 59 ||
      two(17) > 60) {
    return false;
  }
  text.remove_prefix(kShape.size());
  if (text.front() == '.') {
    const size_t end = text.find_first_not_of("0123456789", 1);
    if (end == std::string_view::npos || end == 1) return false;
    text.remove_prefix(end);
  }
  if (text == "Z") return true;
  return text.size() == 6 && (text[0] == '+' || text[0] == '-') && Digits(text.substr(1, 2)) &&
         text[3] == ':' && Digits(text.substr(4));
}

// A number with a suffix of Kubernetes' quantities: "100m", "1.5Gi", "1e3".
bool IsQuantity(std::string_view text) {
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) text.remove_prefix(1);
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string_view number = text.substr(0, end);
  const size_t dot = number.find('.');
  if (number.find_first_of("0123456789") == std::string_view::npos) return false;
  if (dot != std::string_view::npos && number.find('.', dot + 1) != std::string_view::npos) {
    return false;
  }
  std::string_view suffix = text.substr(end);
  static constexpr std::string_view kSuffixes[] = {"",  "n", "u",  "m",  "k",  "M",  "G",  "T",
                                                   "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  if (std::find(std::begin(kSuffixes), std::end(kSuffixes), suffix) != std::end(kSuffixes)) {
    return true;
  }
  if (suffix.front() != 'e' && suffix.front() != 'E') return false;
  suffix.remove_prefix(1);
  if (suffix.starts_with('+') || suffix.starts_with('-')) suffix.remove_prefix(1);
  return Digits(suffix);
}

bool IsBase64(std::string_view text) {
  if (text.size() % 4 != 0) return false;
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  return std::all_of(text.begin(), text.end() - padding, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  });
}

// In characters rather than bytes, as JSON Schema counts.
int64_t Length(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

class Checker {
 public:
  explicit Checker(FieldErrors& errors) : errors_(errors) {}

  void Check(const Schema& schema, const json::value& value, const FieldPath& path) {
    if (value.is_null() && (schema.nullable || schema.type == FieldType::kAny)) return;
    // Of an object they are checked with its members.
    if (schema.rules != nullptr && schema.type != FieldType::kObject) {
      schema.rules->Check(value, path, errors_);
    }
    switch (schema.type) {
      case FieldType::kAny:
        break;
      case FieldType::kString:
        CheckString(schema, value, path);
        break;
      case FieldType::kBytes:
        CheckText(value, path, IsBase64, "must be base64");
        break;
      case FieldType::kTime:
      case FieldType::kMicroTime:
        CheckText(value, path, IsTime, "must be a time as RFC 3339 has it: 2006-01-02T15:04:05Z");
        break;
      case FieldType::kQuantity:
        if (value.is_string()) {
          CheckText(value, path, IsQuantity,
                    "quantities must match the regular expression "
                    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
        } else if (!value.is_number()) {
          WrongType(value, path, "string");
        }
        break;
      case FieldType::kBool:
        if (!value.is_bool()) WrongType(value, path, "boolean");
        break;
      case FieldType::kInt32:
      case FieldType::kInt64:
        CheckInt(schema, value, path);
        break;
      case FieldType::kNumber:
        if (!value.is_number()) {
          WrongType(value, path, "number");
        } else {
          CheckBounds(schema, value, value.to_number<double>(), path);
          if (!schema.enum_values.empty()) CheckEnum(schema, value, ToJson(value), path);
        }
        break;
      case FieldType::kIntOrString:
        if (value.is_string()) {
          CheckString(schema, value, path);
        } else if (value.is_int64()) {
          CheckBounds(schema, value, static_cast<double>(value.get_int64()), path);
        } else {
          WrongType(value, path, "integer or string");
        }
        break;
      case FieldType::kObject:
        if (!value.is_object()) return WrongType(value, path, "object");
        CheckMembers(schema, value.get_object(), path);
        break;
      case FieldType::kMap:
        CheckMap(schema, value, path);
        break;
      case FieldType::kList:
        CheckList(schema, value, path);
        break;
    }
  }

  void CheckMembers(const Schema& schema, const json::object& object, const FieldPath& path) {
    if (schema.rules != nullptr) schema.rules->Check(object, path, errors_);
    for (const Field& field : schema.fields) {
      const json::value* member = object.if_contains(Name(field.name));
      if (member == nullptr || (member->is_null() && !field.schema->nullable)) {
        if (field.required) errors_.Required(FieldPath(path, field.name).ToString(), "");
        continue;
      }
      if (field.empty_is_missing && member->is_string() && member->get_string().empty()) {
        errors_.Required(FieldPath(path, field.name).ToString(), "");
        continue;
      }
      if (field.empty_is_missing && field.schema->min_items.value_or(0) > 0 && member->is_array() &&
          member->get_array().empty()) {
        errors_.Required(FieldPath(path, field.name).ToString(), "");
        continue;
      }
      Check(*field.schema, *member, FieldPath(path, field.name));
    }
  }

 private:
  void WrongType(const json::value& value, const FieldPath& path, std::string_view expected) {
    errors_.WrongType(path.ToString(), value, expected);
  }

  template <typename Predicate>
  void CheckText(const json::value& value, const FieldPath& path, Predicate predicate,
                 std::string_view detail) {
    if (!value.is_string()) {
      WrongType(value, path, "string");
    } else if (!predicate(orchestrator::View(value.get_string()))) {
      errors_.InvalidValue(path.ToString(), value, detail);
    }
  }

  void CheckEnum(const Schema& schema, const json::value& value, std::string_view text,
                 const FieldPath& path) {
    if (schema.enum_values.empty()) return;
    const auto& all = schema.enum_values;
    if (std::find(all.begin(), all.end(), text) == all.end()) {
      errors_.NotSupported(path.ToString(), value, all);
    }
  }

  void CheckString(const Schema& schema, const json::value& value, const FieldPath& path) {
    if (!value.is_string()) return WrongType(value, path, "string");
    const std::string_view text = orchestrator::View(value.get_string());
    // An empty text is no choice, but none that was made: as in Kubernetes.
    if (!text.empty() || schema.checks_empty) CheckEnum(schema, value, text, path);
    if (schema.max_length.has_value() && Length(text) > *schema.max_length) {
      errors_.TooLong(path.ToString(), static_cast<size_t>(*schema.max_length));
    }
    if (schema.min_length.has_value() && Length(text) < *schema.min_length) {
      errors_.InvalidValue(path.ToString(), value,
                           base::StrCat("should be at least ", *schema.min_length, " chars long"));
    }
    if (schema.compiled_pattern != nullptr && !schema.compiled_pattern->Matches(text)) {
      errors_.InvalidValue(path.ToString(), value,
                           base::StrCat("should match '", schema.pattern, "'"));
    }
  }

  void CheckInt(const Schema& schema, const json::value& value, const FieldPath& path) {
    const int64_t* number = value.if_int64();
    if (number == nullptr) return WrongType(value, path, "integer");
    if (schema.type == FieldType::kInt32 && (*number > std::numeric_limits<int32_t>::max() ||
                                             *number < std::numeric_limits<int32_t>::min())) {
      return errors_.InvalidValue(path.ToString(), value, "must be an integer of 32 bits");
    }
    CheckBounds(schema, value, static_cast<double>(*number), path);
    if (!schema.enum_values.empty()) CheckEnum(schema, value, ToJson(value), path);
  }

  void CheckBounds(const Schema& schema, const json::value& value, double number,
                   const FieldPath& path) {
    if (schema.minimum.has_value() &&
        (number < *schema.minimum || (schema.exclusive_minimum && number == *schema.minimum))) {
      errors_.InvalidValue(
          path.ToString(), value,
          base::StrCat("must be greater than ", schema.exclusive_minimum ? "" : "or equal to ",
                       *schema.minimum));
    }
    if (schema.maximum.has_value() &&
        (number > *schema.maximum || (schema.exclusive_maximum && number == *schema.maximum))) {
      errors_.InvalidValue(
          path.ToString(), value,
          base::StrCat("must be less than ", schema.exclusive_maximum ? "" : "or equal to ",
                       *schema.maximum));
    }
  }

  void CheckMap(const Schema& schema, const json::value& value, const FieldPath& path) {
    const json::object* object = value.if_object();
    if (object == nullptr) return WrongType(value, path, "object");
    if (schema.items->type == FieldType::kAny) return;
    for (const auto& member : *object) {
      Check(*schema.items, member.value(), FieldPath::Key(path, View(member.key())));
    }
  }

  void CheckList(const Schema& schema, const json::value& value, const FieldPath& path) {
    const json::array* array = value.if_array();
    if (array == nullptr) return WrongType(value, path, "array");
    const auto size = static_cast<int64_t>(array->size());
    if (schema.max_items.has_value() && size > *schema.max_items) {
      errors_.TooMany(path.ToString(), array->size(), static_cast<size_t>(*schema.max_items));
    }
    if (schema.min_items.has_value() && size < *schema.min_items) {
      errors_.InvalidValue(path.ToString(), size,
                           base::StrCat("should have at least ", *schema.min_items, " items"));
    }
    for (size_t i = 0; i < array->size(); ++i) {
      Check(*schema.items, (*array)[i], FieldPath(path, i));
    }
    if (schema.list_kind != Schema::ListKind::kAtomic && !schema.duplicates_allowed && size > 1) {
      CheckDuplicates(schema, *array, path);
    }
  }

  void CheckDuplicates(const Schema& schema, const json::array& array, const FieldPath& path) {
    absl::flat_hash_set<std::string> seen;
    seen.reserve(array.size());
    for (size_t i = 0; i < array.size(); ++i) {
      std::string key;
      if (schema.list_kind == Schema::ListKind::kSet) {
        key = CanonicalJson(array[i]);
      } else {
        const json::object* item = array[i].if_object();
        if (item == nullptr) continue;
        for (const std::string& name : schema.map_keys) {
          const json::value* part = item->if_contains(Name(name));
          key += part == nullptr ? "-" : CanonicalJson(*part);
          key += ',';
        }
      }
      if (seen.insert(std::move(key)).second) continue;
      const FieldPath at(path, i);
      if (schema.list_kind == Schema::ListKind::kSet) {
        errors_.Duplicate(at.ToString(), array[i]);
      } else if (schema.map_keys.size() == 1) {
        const json::value* part = array[i].get_object().if_contains(Name(schema.map_keys[0]));
        errors_.Duplicate(FieldPath(at, schema.map_keys[0]).ToString(),
                          part == nullptr ? json::value() : *part);
      } else {
        json::object keys;
        for (const std::string& name : schema.map_keys) {
          if (const json::value* part = array[i].get_object().if_contains(Name(name))) {
            keys[name] = *part;
          }
        }
        errors_.Duplicate(at.ToString(), keys);
      }
    }
  }

  FieldErrors& errors_;
};

class ImmutableChecker {
 public:
  explicit ImmutableChecker(FieldErrors& errors) : errors_(errors) {}

  // `now` is null when there is nothing any more.
  void Check(const Schema& schema, const json::value* now, const json::value& before,
             const FieldPath& path) {
    if (!schema.has_immutable || before.is_null()) return;
    if (schema.immutable) {
      if (now == nullptr || *now != before) {
        errors_.InvalidValue(path.ToString(), now == nullptr ? json::value() : *now,
                             "field is immutable");
      }
      return;
    }
    if (now == nullptr) return;
    if (const json::object* old_members = before.if_object()) {
      const json::object* members = now->if_object();
      if (members != nullptr) CheckMembers(schema, *members, *old_members, path);
    } else if (const json::array* old_items = before.if_array()) {
      const json::array* items = now->if_array();
      if (items != nullptr && schema.type == FieldType::kList) {
        CheckItems(schema, *items, *old_items, path);
      }
    }
  }

  void CheckMembers(const Schema& schema, const json::object& now, const json::object& before,
                    const FieldPath& path) {
    if (schema.type == FieldType::kMap) {
      for (const auto& member : before) {
        Check(*schema.items, now.if_contains(member.key()), member.value(),
              FieldPath::Key(path, View(member.key())));
      }
      return;
    }
    for (const Field& field : schema.fields) {
      if (!field.schema->has_immutable) continue;
      const json::value* old_member = before.if_contains(Name(field.name));
      if (old_member == nullptr) continue;
      Check(*field.schema, now.if_contains(Name(field.name)), *old_member,
            FieldPath(path, field.name));
    }
  }

 private:
  void CheckItems(const Schema& schema, const json::array& now, const json::array& before,
                  const FieldPath& path) {
    if (schema.list_kind != Schema::ListKind::kMap) {
      for (size_t i = 0; i < now.size() && i < before.size(); ++i) {
        Check(*schema.items, &now[i], before[i], FieldPath(path, i));
      }
      return;
    }
    for (size_t i = 0; i < now.size(); ++i) {
      for (const json::value& old_item : before) {
        if (!SameKeys(schema, now[i], old_item)) continue;
        Check(*schema.items, &now[i], old_item, FieldPath(path, i));
        break;
      }
    }
  }

  FieldErrors& errors_;
};

}  // namespace

void CheckSchema(const Schema& schema, const json::value& value, std::string_view path,
                 FieldErrors& errors) {
  Checker(errors).Check(schema, value, FieldPath(path));
}

void CheckSchema(const Schema& schema, const json::object& object, std::string_view path,
                 FieldErrors& errors) {
  if (schema.type == FieldType::kObject) {
    Checker(errors).CheckMembers(schema, object, FieldPath(path));
  }
}

void CheckImmutable(const Schema& schema, const json::value& now, const json::value& before,
                    std::string_view path, FieldErrors& errors) {
  ImmutableChecker(errors).Check(schema, &now, before, FieldPath(path));
}

void CheckImmutable(const Schema& schema, const json::object& now, const json::object& before,
                    std::string_view path, FieldErrors& errors) {
  if (schema.has_immutable && schema.type == FieldType::kObject) {
    ImmutableChecker(errors).CheckMembers(schema, now, before, FieldPath(path));
  }
}

}  // namespace keel::orchestrator
