// What changes an object by its schema: defaults and pruning.

#include "orchestrator/api/field_path.h"
#include "orchestrator/api/schema.h"

namespace keel::orchestrator {
namespace {

json::string_view Name(const std::string& name) { return {name.data(), name.size()}; }

// Null stands for a value in some places only; elsewhere it means that there is none.
bool NullIsAbsent(const Schema& schema) {
  return !schema.nullable && schema.type != FieldType::kAny;
}

void DefaultMembers(const Schema& schema, json::object& object) {
  for (const Field& field : schema.fields) {
    const Schema& of = *field.schema;
    if (!of.has_defaults) continue;
    json::value* member = object.if_contains(Name(field.name));
    const bool absent = member == nullptr || (member->is_null() && NullIsAbsent(of));
    if (absent) {
      if (!of.default_value.has_value()) continue;
      member = &object[Name(field.name)];
      *member = *of.default_value;
    }
    ApplyDefaults(of, *member);
  }
}

class Pruner {
 public:
  explicit Pruner(std::vector<std::string>* unknown) : unknown_(unknown) {}

  void Prune(const Schema& schema, json::value& value, const FieldPath& path) {
    switch (schema.type) {
      case FieldType::kObject:
        if (json::object* object = value.if_object()) PruneObject(schema, *object, path);
        break;
      case FieldType::kMap:
        if (json::object* object = value.if_object()) PruneMap(*schema.items, *object, path);
        break;
      case FieldType::kList:
        if (json::array* array = value.if_array(); array != nullptr && HasMembers(*schema.items)) {
          for (size_t i = 0; i < array->size(); ++i) {
            Prune(*schema.items, (*array)[i], FieldPath(path, i));
          }
        }
        break;
      default:
        break;
    }
  }

  void PruneObject(const Schema& schema, json::object& object, const FieldPath& path) {
    // Most objects have nothing to prune: what goes is only gathered, since removing moves members.
    std::vector<std::string> gone;
    for (auto& member : object) {
      const std::string_view name(member.key().data(), member.key().size());
      const Field* field = schema.FindField(name);
      if (field == nullptr) {
        if (schema.preserve_unknown || (schema.embedded_resource && IsResourceField(name)))
          continue;
        if (unknown_ != nullptr) unknown_->push_back(FieldPath(path, name).ToString());
        gone.emplace_back(name);
      } else if (member.value().is_null()) {
        if (NullIsAbsent(*field->schema)) gone.emplace_back(name);
      } else if (HasMembers(*field->schema)) {
        Prune(*field->schema, member.value(), FieldPath(path, name));
      }
    }
    Erase(object, gone);
  }

 private:
  static bool HasMembers(const Schema& schema) {
    return schema.type == FieldType::kObject || schema.type == FieldType::kMap ||
           schema.type == FieldType::kList;
  }

  void PruneMap(const Schema& items, json::object& object, const FieldPath& path) {
    std::vector<std::string> gone;
    for (auto& member : object) {
      const std::string_view name(member.key().data(), member.key().size());
      if (member.value().is_null()) {
        if (NullIsAbsent(items)) gone.emplace_back(name);
      } else if (HasMembers(items)) {
        Prune(items, member.value(), FieldPath(path, name));
      }
    }
    Erase(object, gone);
  }

  static bool IsResourceField(std::string_view name) {
    return name == "apiVersion" || name == "kind" || name == "metadata";
  }
  // Keeps the order of the others.
  static void Erase(json::object& object, const std::vector<std::string>& gone) {
    for (const std::string& name : gone) object.stable_erase(object.find(Name(name)));
  }

  std::vector<std::string>* unknown_;
};

}  // namespace

void ApplyDefaults(const Schema& schema, json::value& value) {
  if (!schema.has_defaults) return;
  if (json::object* object = value.if_object()) {
    if (schema.type == FieldType::kObject) {
      DefaultMembers(schema, *object);
    } else if (schema.type == FieldType::kMap) {
      for (auto& member : *object) ApplyDefaults(*schema.items, member.value());
    }
  } else if (json::array* array = value.if_array()) {
    if (schema.type != FieldType::kList) return;
    for (json::value& item : *array) ApplyDefaults(*schema.items, item);
  }
}

void ApplyDefaults(const Schema& schema, json::object& object) {
  if (schema.has_defaults && schema.type == FieldType::kObject) DefaultMembers(schema, object);
}

void PruneUnknown(const Schema& schema, json::value& value, std::vector<std::string>* unknown) {
  Pruner(unknown).Prune(schema, value, FieldPath(""));
}

void PruneUnknown(const Schema& schema, json::object& object, std::vector<std::string>* unknown) {
  if (schema.type == FieldType::kObject) Pruner(unknown).PruneObject(schema, object, FieldPath(""));
}

}  // namespace keel::orchestrator
