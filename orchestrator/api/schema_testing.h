// Short ways to schemas and JSON for tests.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/schema.h"

namespace keel::orchestrator {

// Stops the test when `text` is not JSON.
inline json::value Json(std::string_view text) {
  auto parsed = ParseJson(text);
  KEEL_CHECK(parsed.ok());
  return *std::move(parsed);
}

// The type `top` of a schema text, with apiVersion, kind and metadata; lives until the process
// ends. REQUIRES: the text describes ObjectMeta too.
inline const Schema& TopSchema(std::string_view text, std::string_view top) {
  static auto& all = *new std::vector<std::unique_ptr<TypeRegistry>>();
  all.push_back(std::make_unique<TypeRegistry>());
  TypeRegistry& types = *all.back();
  const absl::Status added = types.Add(text);
  KEEL_CHECK(added.ok(), added.ToString());
  KEEL_CHECK(types.MakeTop(top).ok());
  KEEL_CHECK(types.Resolve().ok());
  return *types.FindType(top);
}

// "FIELD: MESSAGE" of each.
inline std::vector<std::string> Lines(const FieldErrors& errors) {
  std::vector<std::string> out;
  for (const FieldErrors::Cause& cause : errors.causes()) {
    out.push_back(cause.field + ": " + cause.message);
  }
  return out;
}

}  // namespace keel::orchestrator
