#include "orchestrator/api/value_rules.h"

#include <algorithm>
#include <cmath>

#include "base/strings.h"
#include "orchestrator/api/openapi_bounds.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

constexpr int kMaxDepth = 50;

std::string_view Text(json::string_view text) { return {text.data(), text.size()}; }
json::string_view Name(std::string_view text) { return {text.data(), text.size()}; }

// ---- Reading

class Reader {
 public:
  explicit Reader(FieldErrors& errors) : errors_(errors) {}

  // What nodes of a structural schema have as well as the schemas inside.
  void ReadShared(const json::object& from, const FieldPath& path, int depth, bool int_or_string,
                  ValueRules& out) {
    out.multiple_of = NumberAt(from, "multipleOf");
    out.min_properties = IntegerAt(from, "minProperties");
    out.max_properties = IntegerAt(from, "maxProperties");
    out.all_of = ReadList(from, "allOf", path, depth, int_or_string);
    out.any_of = ReadList(from, "anyOf", path, depth, int_or_string);
    out.one_of = ReadList(from, "oneOf", path, depth, false);
    if (const json::value* none = Find(from, {"not"}); none != nullptr && none->is_object()) {
      out.none_of = std::make_unique<const ValueRules>(
          ReadInner(none->get_object(), FieldPath(path, "not"), depth + 1, false));
    }
  }

 private:
  std::vector<ValueRules> ReadList(const json::object& from, std::string_view name,
                                   const FieldPath& path, int depth, bool int_or_string) {
    std::vector<ValueRules> out;
    const FieldPath list(path, name);
    size_t i = 0;
    for (const json::value& one : ArrayAt(from, {name})) {
      const FieldPath at(list, i++);
      if (one.is_object()) out.push_back(ReadInner(one.get_object(), at, depth + 1, int_or_string));
    }
    return out;
  }

  ValueRules ReadInner(const json::object& from, const FieldPath& path, int depth,
                       bool int_or_string) {
    ValueRules out;
    if (depth > kMaxDepth) {
      errors_.Forbidden(path.ToString(), "nested too deeply");
      return out;
    }
    // Of an integer or string the type may be told once more.
    for (const char* field : {"type", "title", "description"}) {
      if (int_or_string && std::string_view(field) == "type") continue;
      if (!StringAt(from, {field}).empty()) {
        errors_.Forbidden(FieldPath(path, field).ToString(), "must be empty to be structural");
      }
    }
    for (const char* field : {"default", "additionalProperties"}) {
      if (from.contains(field)) {
        errors_.Forbidden(FieldPath(path, field).ToString(), "must be undefined to be structural");
      }
    }
    for (const char* field : {"nullable", "x-kubernetes-preserve-unknown-fields",
                              "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"}) {
      if (BoolAt(from, {field})) {
        errors_.Forbidden(FieldPath(path, field).ToString(), "must be false to be structural");
      }
    }
    ReadShared(from, path, depth, int_or_string, out);
    out.type = StringAt(from, {"type"});
    for (const json::value& value : ArrayAt(from, {"enum"})) out.enum_values.push_back(value);
    ReadBounds(from, path, errors_, out);
    for (const json::value& name : ArrayAt(from, {"required"})) {
      if (name.is_string()) out.required.emplace_back(Text(name.get_string()));
    }
    const FieldPath properties(path, "properties");
    for (const auto& [name, rules] : ObjectAt(from, {"properties"})) {
      if (!rules.is_object()) continue;
      out.properties.emplace_back(
          Text(name),
          ReadInner(rules.get_object(), FieldPath::Key(properties, Text(name)), depth + 1, false));
    }
    if (const json::value* items = Find(from, {"items"}); items != nullptr && items->is_object()) {
      out.items = std::make_unique<const ValueRules>(
          ReadInner(items->get_object(), FieldPath(path, "items"), depth + 1, false));
    }
    return out;
  }

  FieldErrors& errors_;
};

// ---- Checking

// A value, or an object that is known as one only.
struct Subject {
  const json::value* value = nullptr;
  const json::object* object = nullptr;
  const json::array* array = nullptr;
};

Subject SubjectOf(const json::value& value) {
  return {.value = &value, .object = value.if_object(), .array = value.if_array()};
}

bool IsOfType(const Subject& subject, std::string_view type) {
  if (type == "object") return subject.object != nullptr;
  if (subject.value == nullptr) return false;
  const json::value& value = *subject.value;
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_bool();
  if (type == "number") return value.is_number();
  if (type == "integer") return value.is_int64() || value.is_uint64();
  return true;
}

int64_t Characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

bool IsMultiple(double number, double of) {
  if (of == 0) return true;
  const double times = number / of;
  return std::abs(times - std::round(times)) <= 1e-9 * std::max(1.0, std::abs(times));
}

class Checker {
 public:
  Checker(const ValueRules& rules, const FieldPath& path, FieldErrors& errors)
      : rules_(rules), path_(path), errors_(errors) {}

  void Check(const Subject& subject) {
    if (!rules_.type.empty() && !IsOfType(subject, rules_.type)) {
      return errors_.WrongType(Where(), subject.value == nullptr ? json::value() : *subject.value,
                               rules_.type);
    }
    CheckJunctors(subject);
    if (subject.object != nullptr) CheckObject(*subject.object);
    if (subject.array != nullptr) CheckArray(*subject.array);
    if (subject.value == nullptr) return;
    const json::value& value = *subject.value;
    if (value.is_string()) CheckString(value, Text(value.get_string()));
    if (value.is_number()) CheckNumber(value, value.to_number<double>());
    CheckEnum(value);
  }

 private:
  std::string Where() const { return path_.ToString(); }
  void Invalid(const json::value& value, std::string_view should) {
    const std::string where = Where();
    errors_.InvalidValue(where, value, StrCat(where, " in body should ", should));
  }
  // Of no field, since it is about the whole.
  void Whole(std::string_view must) {
    errors_.InvalidShown("<nil>", "\"\"", StrCat("\"", Where(), "\" ", must));
  }
  void Add(const FieldErrors& others) {
    for (const FieldErrors::Cause& cause : others.causes()) errors_.Add(cause);
  }
  FieldErrors ErrorsOf(const ValueRules& rules, const Subject& subject) {
    FieldErrors errors;
    Checker(rules, path_, errors).Check(subject);
    return errors;
  }
  static bool IsBetter(const FieldErrors& errors, const FieldErrors& best) {
    return best.empty() || errors.causes().size() < best.causes().size();
  }

  void CheckJunctors(const Subject& subject) {
    if (!rules_.any_of.empty()) {
      FieldErrors best;
      bool holds = false;
      for (const ValueRules& rules : rules_.any_of) {
        FieldErrors errors = ErrorsOf(rules, subject);
        holds = holds || errors.empty();
        if (holds) break;
        if (IsBetter(errors, best)) best = std::move(errors);
      }
      if (!holds) {
        Whole("must validate at least one schema (anyOf)");
        Add(best);
      }
    }
    if (!rules_.one_of.empty()) {
      FieldErrors best;
      int hold = 0;
      for (const ValueRules& rules : rules_.one_of) {
        FieldErrors errors = ErrorsOf(rules, subject);
        if (errors.empty()) {
          ++hold;
        } else if (IsBetter(errors, best)) {
          best = std::move(errors);
        }
      }
      if (hold == 0) {
        Whole("must validate one and only one schema (oneOf). Found none valid");
        Add(best);
      } else if (hold > 1) {
        Whole(StrCat("must validate one and only one schema (oneOf). Found ", hold,
                     " valid alternatives"));
      }
    }
    if (!rules_.all_of.empty()) {
      size_t hold = 0;
      for (const ValueRules& rules : rules_.all_of) {
        const FieldErrors errors = ErrorsOf(rules, subject);
        hold += errors.empty() ? 1 : 0;
        Add(errors);
      }
      if (hold < rules_.all_of.size()) {
        Whole(StrCat("must validate all the schemas (allOf)", hold == 0 ? ". None validated" : ""));
      }
    }
    if (rules_.none_of != nullptr && ErrorsOf(*rules_.none_of, subject).empty()) {
      Whole("must not validate the schema (not)");
    }
  }

  void CheckObject(const json::object& object) {
    const auto size = static_cast<int64_t>(object.size());
    if (rules_.min_properties.has_value() && size < *rules_.min_properties) {
      Invalid(size, StrCat("have at least ", *rules_.min_properties, " properties"));
    }
    if (rules_.max_properties.has_value() && size > *rules_.max_properties) {
      errors_.TooMany(Where(), object.size(), static_cast<size_t>(*rules_.max_properties));
    }
    for (const std::string& name : rules_.required) {
      if (!object.contains(name)) errors_.Required(FieldPath(path_, name).ToString(), "");
    }
    for (const auto& [name, rules] : rules_.properties) {
      const json::value* member = object.if_contains(Name(name));
      if (member != nullptr) rules.Check(*member, FieldPath(path_, name), errors_);
    }
  }

  void CheckArray(const json::array& array) {
    const auto size = static_cast<int64_t>(array.size());
    if (rules_.min_items.has_value() && size < *rules_.min_items) {
      Invalid(size, StrCat("have at least ", *rules_.min_items, " items"));
    }
    if (rules_.max_items.has_value() && size > *rules_.max_items) {
      errors_.TooMany(Where(), array.size(), static_cast<size_t>(*rules_.max_items));
    }
    if (rules_.items == nullptr) return;
    for (size_t i = 0; i < array.size(); ++i) {
      rules_.items->Check(array[i], FieldPath(path_, i), errors_);
    }
  }

  void CheckString(const json::value& value, std::string_view text) {
    if (rules_.max_length.has_value() && Characters(text) > *rules_.max_length) {
      errors_.TooLong(Where(), static_cast<size_t>(*rules_.max_length));
    }
    if (rules_.min_length.has_value() && Characters(text) < *rules_.min_length) {
      Invalid(value, StrCat("be at least ", *rules_.min_length, " chars long"));
    }
    if (rules_.compiled_pattern != nullptr && !rules_.compiled_pattern->Matches(text)) {
      Invalid(value, StrCat("match '", rules_.pattern, "'"));
    }
  }

  void CheckNumber(const json::value& value, double number) {
    if (rules_.multiple_of.has_value() && !IsMultiple(number, *rules_.multiple_of)) {
      Invalid(value, StrCat("be a multiple of ", *rules_.multiple_of));
    }
    if (rules_.maximum.has_value()) {
      const bool exclusive = rules_.exclusive_maximum;
      if (number > *rules_.maximum || (exclusive && number == *rules_.maximum)) {
        Invalid(value, StrCat("be less than ", exclusive ? "" : "or equal to ", *rules_.maximum));
      }
    }
    if (rules_.minimum.has_value()) {
      const bool exclusive = rules_.exclusive_minimum;
      if (number < *rules_.minimum || (exclusive && number == *rules_.minimum)) {
        Invalid(value,
                StrCat("be greater than ", exclusive ? "" : "or equal to ", *rules_.minimum));
      }
    }
  }

  void CheckEnum(const json::value& value) {
    const auto& all = rules_.enum_values;
    if (all.empty() || std::find(all.begin(), all.end(), value) != all.end()) return;
    std::vector<std::string> texts;
    for (const json::value& one : all) {
      texts.push_back(one.is_string() ? std::string(Text(one.get_string())) : ToJson(one));
    }
    errors_.NotSupported(Where(), value, texts);
  }

  const ValueRules& rules_;
  const FieldPath& path_;
  FieldErrors& errors_;
};

}  // namespace

std::shared_ptr<const ValueRules> ValueRules::OfNode(const json::object& open_api,
                                                     const FieldPath& path, FieldErrors& errors) {
  auto rules = std::make_shared<ValueRules>();
  for (const char* field :
       {"multipleOf", "minProperties", "maxProperties", "allOf", "anyOf", "oneOf", "not"}) {
    if (const json::value* value = open_api.if_contains(field)) rules->source[field] = *value;
  }
  if (rules->source.empty()) return nullptr;
  const bool int_or_string = BoolAt(open_api, {"x-kubernetes-int-or-string"});
  Reader(errors).ReadShared(open_api, path, 0, int_or_string, *rules);
  return rules;
}

void ValueRules::Check(const json::value& value, const FieldPath& path, FieldErrors& errors) const {
  Checker(*this, path, errors).Check(SubjectOf(value));
}

void ValueRules::Check(const json::object& object, const FieldPath& path,
                       FieldErrors& errors) const {
  Checker(*this, path, errors).Check({.object = &object});
}

}  // namespace keel::orchestrator
