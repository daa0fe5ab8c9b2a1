#include "orchestrator/api/openapi_schema.h"

#include "base/strings.h"
#include "orchestrator/api/value_rules.h"

namespace keel::orchestrator {
namespace {

constexpr char kQuantity[] = "io.k8s.apimachinery.pkg.api.resource.Quantity";
constexpr char kIntOrString[] = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
constexpr char kTime[] = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
constexpr char kMicroTime[] = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";

struct Scalar {
  const char* type;
  const char* format;
  const char* definition;
};

Scalar ScalarOf(FieldType type) {
  switch (type) {
    case FieldType::kString:
      return {"string", "", ""};
    case FieldType::kBool:
      return {"boolean", "", ""};
    case FieldType::kInt32:
      return {"integer", "int32", ""};
    case FieldType::kInt64:
      return {"integer", "int64", ""};
    case FieldType::kNumber:
      return {"number", "double", ""};
    case FieldType::kBytes:
      return {"string", "byte", ""};
    case FieldType::kTime:
      return {"string", "date-time", kTime};
    case FieldType::kMicroTime:
      return {"string", "date-time", kMicroTime};
    case FieldType::kQuantity:
      return {"string", "", kQuantity};
    case FieldType::kIntOrString:
      return {"string", "int-or-string", kIntOrString};
    default:
      return {"", "", ""};
  }
}

void PutBounds(const Schema& schema, json::object& out) {
  if (schema.minimum.has_value()) {
    out["minimum"] = *schema.minimum;
    if (schema.exclusive_minimum) out["exclusiveMinimum"] = true;
  }
  if (schema.maximum.has_value()) {
    out["maximum"] = *schema.maximum;
    if (schema.exclusive_maximum) out["exclusiveMaximum"] = true;
  }
  if (schema.min_length.has_value()) out["minLength"] = *schema.min_length;
  if (schema.max_length.has_value()) out["maxLength"] = *schema.max_length;
  if (schema.min_items.has_value()) out["minItems"] = *schema.min_items;
  if (schema.max_items.has_value()) out["maxItems"] = *schema.max_items;
  if (!schema.pattern.empty()) out["pattern"] = schema.pattern;
  if (!schema.enum_values.empty()) {
    json::array values;
    for (const std::string& value : schema.enum_values) {
      auto number =
          schema.type == FieldType::kString ? absl::StatusOr<json::value>(value) : ParseJson(value);
      values.push_back(number.ok() ? *std::move(number) : json::value(value));
    }
    out["enum"] = std::move(values);
  }
}

void PutList(const Schema& schema, json::object& out, const OpenApiDialect& dialect) {
  out["type"] = "array";
  out["items"] = ToOpenApi(*schema.items, dialect);
  switch (schema.list_kind) {
    case Schema::ListKind::kAtomic:
      if (schema.atomic || !schema.merge_scalars) out["x-kubernetes-list-type"] = "atomic";
      break;
    case Schema::ListKind::kSet:
      out["x-kubernetes-list-type"] = "set";
      break;
    case Schema::ListKind::kMap: {
      json::array keys;
      for (const std::string& key : schema.map_keys) keys.push_back(json::string(key));
      out["x-kubernetes-list-type"] = "map";
      out["x-kubernetes-list-map-keys"] = std::move(keys);
      break;
    }
  }
  // Strategic merge, which only the kinds of the server itself know.
  if (dialect.reference != nullptr && schema.list_kind == Schema::ListKind::kMap) {
    out["x-kubernetes-patch-merge-key"] = schema.map_keys.front();
    out["x-kubernetes-patch-strategy"] = schema.retain_keys ? "merge,retainKeys" : "merge";
  } else if (schema.merge_scalars) {
    out["x-kubernetes-patch-strategy"] = "merge";
  }
}

void PutFields(const Schema& schema, json::object& out, const OpenApiDialect& dialect) {
  out["type"] = "object";
  json::object properties;
  json::array required;
  for (const Field& field : schema.fields) {
    json::object property = ToOpenApi(*field.schema, dialect);
    if (!field.description.empty()) {
      if (const json::value* reference = property.if_contains("$ref");
          reference != nullptr && dialect.version == 3) {
        // In OpenAPI 3.0 nothing may stand beside a reference.
        json::value only = json::object{{"$ref", *reference}};
        property.erase("$ref");
        property["allOf"] = json::array{std::move(only)};
      }
      property["description"] = field.description;
    }
    properties[field.name] = std::move(property);
    if (field.required) required.push_back(json::string(field.name));
  }
  if (!properties.empty()) out["properties"] = std::move(properties);
  if (!required.empty()) out["required"] = std::move(required);
  if (schema.atomic) out["x-kubernetes-map-type"] = "atomic";
}

void PutRules(const Schema& schema, json::object& out, const OpenApiDialect& dialect) {
  if (schema.rules == nullptr) return;
  for (const auto& [name, value] : schema.rules->source) {
    // OpenAPI 2 has none of those that hold schemas, but allOf.
    if (dialect.version == 2 && !value.is_number()) continue;
    out[name] = value;
  }
}

void PutMarks(const Schema& schema, json::object& out) {
  if (schema.preserve_unknown) out["x-kubernetes-preserve-unknown-fields"] = true;
  if (schema.embedded_resource) out["x-kubernetes-embedded-resource"] = true;
  if (schema.nullable) out["nullable"] = true;
}

}  // namespace

std::string ReferenceTo(std::string_view definition, int version) {
  return base::StrCat(version == 2 ? "#/definitions/" : "#/components/schemas/", definition);
}

json::object DefinitionOf(const Schema& type, const OpenApiDialect& dialect) {
  json::object out;
  if (!type.description.empty()) out["description"] = type.description;
  PutFields(type, out, dialect);
  PutRules(type, out, dialect);
  if (type.preserve_unknown) out["x-kubernetes-preserve-unknown-fields"] = true;
  return out;
}

json::object ToOpenApi(const Schema& schema, const OpenApiDialect& dialect) {
  json::object out;
  const Scalar scalar = ScalarOf(schema.type);
  if (schema.type == FieldType::kObject && !schema.name.empty() && dialect.reference != nullptr) {
    const std::string name = dialect.reference(schema);
    if (!name.empty()) {
      out["$ref"] = ReferenceTo(name, dialect.version);
      if (dialect.version == 2 && schema.retain_keys) {
        out["x-kubernetes-patch-strategy"] = "retainKeys";
      }
      return out;
    }
  }
  if (scalar.definition[0] != '\0' && dialect.scalar_references) {
    out["$ref"] = ReferenceTo(scalar.definition, dialect.version);
    return out;
  }
  if (!schema.description.empty()) out["description"] = schema.description;
  switch (schema.type) {
    case FieldType::kAny:
      if (schema.preserve_unknown) out["x-kubernetes-preserve-unknown-fields"] = true;
      if (schema.nullable) out["nullable"] = true;
      PutRules(schema, out, dialect);
      return out;
    case FieldType::kObject:
      PutFields(schema, out, dialect);
      break;
    case FieldType::kMap:
      out["type"] = "object";
      out["additionalProperties"] = ToOpenApi(*schema.items, dialect);
      if (schema.atomic) out["x-kubernetes-map-type"] = "atomic";
      break;
    case FieldType::kList:
      PutList(schema, out, dialect);
      break;
    case FieldType::kIntOrString:
      if (!dialect.scalar_references) {
        out["x-kubernetes-int-or-string"] = true;
        break;
      }
      [[fallthrough]];
    default:
      out["type"] = scalar.type;
      if (scalar.format[0] != '\0') out["format"] = scalar.format;
      if (!schema.format.empty()) out["format"] = schema.format;
      break;
  }
  PutBounds(schema, out);
  PutRules(schema, out, dialect);
  PutMarks(schema, out);
  if (schema.default_value.has_value()) out["default"] = *schema.default_value;
  return out;
}

json::object ScalarDefinitions(int version) {
  json::object out;
  out[kQuantity] = json::object{{"description",
                                 "A number with an optional suffix: n u m k M G T P E for powers "
                                 "of ten, Ki Mi Gi Ti Pi Ei for "
                                 "powers of 1024, or an exponent (1e3)."},
                                {"type", "string"}};
  out[kIntOrString] = json::object{{"description",
                                    "A number or a text: a port by its number or "
                                    "name, a count or a percentage."},
                                   {"type", "string"},
                                   {"format", "int-or-string"}};
  out[kTime] = json::object{
      {"description", "A time as RFC 3339 has it."}, {"type", "string"}, {"format", "date-time"}};
  out[kMicroTime] = json::object{{"description", "A time as RFC 3339 has it, with microseconds."},
                                 {"type", "string"},
                                 {"format", "date-time"}};
  if (version == 3) {
    for (const char* name : {kQuantity, kIntOrString}) {
      json::object& definition = out[name].get_object();
      definition.erase("type");
      const char* other = name == kQuantity ? "number" : "integer";
      definition["oneOf"] =
          json::array{json::object{{"type", other}}, json::object{{"type", "string"}}};
    }
  }
  return out;
}

}  // namespace keel::orchestrator
