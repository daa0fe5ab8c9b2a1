// Structural schemas of CustomResourceDefinitions, as Kubernetes defines them ("Specifying a
// structural schema" in its documentation of custom resources).

#include <algorithm>
#include <deque>

#include "base/strings.h"
#include "orchestrator/api/field_path.h"
#include "orchestrator/api/openapi_bounds.h"
#include "orchestrator/api/schema.h"
#include "orchestrator/api/value_rules.h"

namespace keel::orchestrator {
namespace {

constexpr int kMaxDepth = 100;

std::string_view Text(json::string_view text) { return {text.data(), text.size()}; }

struct Tree {
  std::deque<Schema> nodes;  // never moves what it holds
  const Schema* root = nullptr;
};

class Converter {
 public:
  Converter(Tree& tree, FieldErrors& errors) : tree_(tree), errors_(errors) {}

  const Schema* Convert(const json::object& from, const FieldPath& path, int depth = 0) {
    Schema& out = tree_.nodes.emplace_back();
    out.has_immutable = false;
    out.has_defaults = false;
    if (depth > kMaxDepth) {
      errors_.Forbidden(path.ToString(), "nested too deeply");
      return &out;
    }
    if (from.contains("$ref")) {
      errors_.Forbidden(FieldPath(path, "$ref").ToString(), "$ref is not supported");
    }
    out.description = StringAt(from, {"description"});
    out.nullable = BoolAt(from, {"nullable"});
    out.preserve_unknown = BoolAt(from, {"x-kubernetes-preserve-unknown-fields"});
    out.embedded_resource = BoolAt(from, {"x-kubernetes-embedded-resource"});
    SetType(from, path, out);
    if (out.type == FieldType::kObject) Properties(from, path, depth, out);
    if (out.type == FieldType::kMap) Additional(from, path, depth, out);
    if (out.type == FieldType::kList) Items(from, path, depth, out);
    ReadBounds(from, path, errors_, out);
    Enum(from, out);
    out.rules = ValueRules::OfNode(from, path, errors_);
    if (const json::value* value = Find(from, {"default"})) Default(*value, path, out);
    return &out;
  }

 private:
  void SetType(const json::object& from, const FieldPath& path, Schema& out) {
    const std::string_view type = StringAt(from, {"type"});
    const std::string_view format = StringAt(from, {"format"});
    if (BoolAt(from, {"x-kubernetes-int-or-string"})) {
      out.type = FieldType::kIntOrString;
    } else if (type.empty()) {
      out.type = FieldType::kAny;
      if (!out.preserve_unknown) {
        errors_.Required(FieldPath(path, "type").ToString(),
                         "must not be empty for specified object fields");
      }
    } else if (type == "object") {
      const bool is_map = from.contains("additionalProperties") &&
                          StringAt(from, {"additionalProperties"}).empty() &&
                          !(Find(from, {"additionalProperties"})->is_bool() &&
                            !BoolAt(from, {"additionalProperties"}));
      out.type = is_map ? FieldType::kMap : FieldType::kObject;
      if (is_map && !ObjectAt(from, {"properties"}).empty()) {
        errors_.Forbidden(FieldPath(path, "additionalProperties").ToString(),
                          "additionalProperties and properties are mutual exclusive");
        out.type = FieldType::kObject;
      }
      out.atomic = StringAt(from, {"x-kubernetes-map-type"}) == "atomic";
    } else if (type == "array") {
      out.type = FieldType::kList;
    } else if (type == "string") {
      out.type = format == "date-time" ? FieldType::kTime
                 : format == "byte"    ? FieldType::kBytes
                                       : FieldType::kString;
      if (out.type == FieldType::kString) out.format = format;
      out.checks_empty = true;
    } else if (type == "integer") {
      out.type = format == "int32" ? FieldType::kInt32 : FieldType::kInt64;
    } else if (type == "number") {
      out.type = FieldType::kNumber;
    } else if (type == "boolean") {
      out.type = FieldType::kBool;
    } else {
      errors_.NotSupported(FieldPath(path, "type").ToString(), json::value(json::string(type)),
                           {"array", "boolean", "integer", "number", "object", "string"});
    }
  }

  void Properties(const json::object& from, const FieldPath& path, int depth, Schema& out) {
    const FieldPath properties(path, "properties");
    const json::array& required = ArrayAt(from, {"required"});
    for (const auto& member : ObjectAt(from, {"properties"})) {
      const FieldPath at = FieldPath::Key(properties, Text(member.key()));
      Field field;
      field.name = Text(member.key());
      field.required = std::find(required.begin(), required.end(),
                                 json::value(json::string(member.key()))) != required.end();
      field.schema = Child(member.value(), at, depth, out);
      field.description = field.schema->description;
      out.fields.push_back(std::move(field));
    }
  }

  void Additional(const json::object& from, const FieldPath& path, int depth, Schema& out) {
    const json::value& items = *Find(from, {"additionalProperties"});
    if (items.is_bool()) {
      out.items = Anything();
      return;
    }
    out.items = Child(items, FieldPath(path, "additionalProperties"), depth, out);
  }

  void Items(const json::object& from, const FieldPath& path, int depth, Schema& out) {
    const FieldPath at(path, "items");
    const json::value* items = Find(from, {"items"});
    if (items == nullptr) {
      errors_.Required(at.ToString(), "must be specified");
      out.items = Anything();
      return;
    }
    out.items = Child(*items, at, depth, out);
    const std::string_view kind = StringAt(from, {"x-kubernetes-list-type"});
    if (kind == "set") {
      out.list_kind = Schema::ListKind::kSet;
    } else if (kind == "map") {
      MapKeys(from, path, out);
    } else if (!kind.empty() && kind != "atomic") {
      errors_.NotSupported(FieldPath(path, "x-kubernetes-list-type").ToString(),
                           json::value(json::string(kind)), {"atomic", "set", "map"});
    }
  }

  void MapKeys(const json::object& from, const FieldPath& path, Schema& out) {
    out.list_kind = Schema::ListKind::kMap;
    const FieldPath at(path, "x-kubernetes-list-map-keys");
    const json::array& keys = ArrayAt(from, {"x-kubernetes-list-map-keys"});
    if (keys.empty()) {
      errors_.Required(at.ToString(), "must not be empty if x-kubernetes-list-type is map");
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      const FieldPath key(at, i);
      const Field* field =
          keys[i].is_string() ? out.items->FindField(View(keys[i].get_string())) : nullptr;
      if (field == nullptr) {
        errors_.InvalidValue(key.ToString(), keys[i], "must be a property of the items");
        continue;
      }
      if (!field->required && !field->schema->default_value.has_value()) {
        errors_.Required(FieldPath(FieldPath(path, "items"), "properties").ToString(),
                         base::StrCat("this property is in x-kubernetes-list-map-keys, so it must "
                                      "have a default or be a required property: ",
                                      field->name));
      }
      out.map_keys.push_back(field->name);
    }
    // Without keys it cannot be a map.
    if (out.map_keys.empty()) out.list_kind = Schema::ListKind::kAtomic;
  }

  // Takes whatever there is.
  const Schema* Anything() {
    Schema& any = tree_.nodes.emplace_back();
    any.preserve_unknown = true;
    any.has_defaults = false;
    any.has_immutable = false;
    return &any;
  }

  const Schema* Child(const json::value& from, const FieldPath& path, int depth, Schema& parent) {
    const json::object* object = from.if_object();
    if (object == nullptr) {
      errors_.WrongType(path.ToString(), from, "object");
      return Anything();
    }
    const Schema* child = Convert(*object, path, depth + 1);
    parent.has_defaults |= child->has_defaults;
    return child;
  }

  static void Enum(const json::object& from, Schema& out) {
    for (const json::value& value : ArrayAt(from, {"enum"})) {
      if (value.is_string()) {
        out.enum_values.emplace_back(View(value.get_string()));
      } else if (!value.is_null()) {
        out.enum_values.push_back(ToJson(value));
      }
    }
  }

  void Default(const json::value& value, const FieldPath& path, Schema& out) {
    // It must be right itself, with the defaults below it filled in.
    json::value filled = value;
    PruneUnknown(out, filled, nullptr);
    ApplyDefaults(out, filled);
    CheckSchema(out, filled, FieldPath(path, "default").ToString(), errors_);
    out.default_value = value;
    out.has_defaults = true;
  }

  Tree& tree_;
  FieldErrors& errors_;
};

}  // namespace

std::shared_ptr<const Schema> SchemaFromOpenApi(const json::object& open_api, std::string_view path,
                                                FieldErrors& errors) {
  auto tree = std::make_shared<Tree>();
  const FieldPath root(path);
  if (StringAt(open_api, {"type"}) != "object") {
    errors.Required(FieldPath(root, "type").ToString(), "must be object at the root");
    json::object as_object = open_api;
    as_object["type"] = "object";
    tree->root = Converter(*tree, errors).Convert(as_object, root);
  } else {
    tree->root = Converter(*tree, errors).Convert(open_api, root);
  }
  const Schema* schema = tree->root;
  return std::shared_ptr<const Schema>(std::move(tree), schema);
}

}  // namespace keel::orchestrator
