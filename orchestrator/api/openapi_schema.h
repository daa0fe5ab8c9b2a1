// One schema as OpenAPI, and back.
//
//   OpenApiDialect dialect{.version = 3, .reference = [&](const Schema& type) { return "..."; }};
//   json::object spec = ToOpenApi(field_schema, dialect);
//
// Types by a name become references; all else is written out. From OpenAPI come the structural
// schemas of CustomResourceDefinitions (SchemaFromOpenApi, schema.h). Thread-safe.
#pragma once

#include <functional>
#include <string>

#include "orchestrator/api/json.h"
#include "orchestrator/api/schema.h"

namespace keel::orchestrator {

struct OpenApiDialect {
  int version = 3;  // 2 or 3
  // The name of the definition of a named type; empty: write it out in place.
  std::function<std::string(const Schema& type)> reference{};
  // Scalars with definitions of their own in Kubernetes (Quantity, Time, ...) become references.
  bool scalar_references = true;
};

// Of a field or item: a reference where it is a named type.
json::object ToOpenApi(const Schema& schema, const OpenApiDialect& dialect);
// Of a type itself: its fields, never a reference to it.
json::object DefinitionOf(const Schema& type, const OpenApiDialect& dialect);
// Definitions of the scalars that ToOpenApi refers to, by name.
json::object ScalarDefinitions(int version);

// "#/definitions/NAME" or "#/components/schemas/NAME".
std::string ReferenceTo(std::string_view definition, int version);

}  // namespace keel::orchestrator
