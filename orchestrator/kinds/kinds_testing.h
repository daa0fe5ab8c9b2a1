// What the tests of kinds share: the API server's way of an object through its kind.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/check.h"
#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/api/schema.h"
#include "orchestrator/api/table.h"
#include "orchestrator/kinds/all_kinds.h"

namespace keel::orchestrator {

inline const KindRegistry& Registry() {
  static const KindRegistry& registry = *[] {
    auto made = MakeKindRegistry();
    KEEL_CHECK(made.ok());
    return made->release();
  }();
  return registry;
}

inline json::object Parse(std::string_view text) {
  auto parsed = ParseJson(text);
  EXPECT_TRUE(parsed.ok()) << parsed.status() << "\n" << text;
  return parsed.ok() ? parsed->as_object() : json::object();
}

inline std::shared_ptr<const Kind> KindOf(const json::object& object) {
  const std::string version(StringAt(object, {"apiVersion"}));
  const size_t slash = version.find('/');
  return Registry().FindByKind(slash == std::string::npos ? "" : version.substr(0, slash),
                               slash == std::string::npos ? version : version.substr(slash + 1),
                               StringAt(object, {"kind"}));
}

// Defaults, preparation and checks, as on create or (with `before`) on update. What is wrong, or
// "".
inline std::string Admit(json::object& object, const json::object* before = nullptr) {
  const auto kind = KindOf(object);
  if (kind == nullptr) return "no such kind";
  const Schema& schema = Registry().SchemaOf(*kind);
  json::value value = std::move(object);
  std::vector<std::string> unknown;
  PruneUnknown(schema, value, &unknown);
  if (!unknown.empty()) return "unknown field " + unknown[0];
  ApplyDefaults(schema, value);
  object = std::move(value.as_object());
  if (kind->set_defaults) kind->set_defaults(object);
  if (kind->prepare) kind->prepare(object, before);
  FieldErrors errors;
  CheckSchema(schema, object, "", errors);
  if (!kind->create_only) {
    if (before == nullptr) {
      CheckObjectMeta(*kind, object, errors);
    } else {
      CheckObjectMetaUpdate(*kind, object, *before, errors);
      CheckImmutable(schema, object, *before, "", errors);
    }
  }
  if (errors.empty()) {
    if (kind->check) kind->check(object, errors);
    if (before == nullptr && kind->check_create) kind->check_create(object, errors);
    if (before != nullptr && kind->check_update) kind->check_update(object, *before, errors);
  }
  std::string out;
  for (const auto& cause : errors.causes()) {
    out += (out.empty() ? "" : "\n") + cause.field + ": " + cause.message;
  }
  return out;
}

// The object with the patch of RFC 7386 put over it.
inline json::value Merged(json::value base, const json::value& patch) {
  if (!patch.is_object()) return patch;
  if (!base.is_object()) base = json::object();
  for (const auto& [key, value] : patch.get_object()) {
    if (value.is_null()) {
      base.get_object().erase(key);
    } else {
      base.get_object()[key] = Merged(base.get_object()[key], value);
    }
  }
  return base;
}

// What is wrong with `base` once `patch` is put over it, on create.
inline std::string Create(std::string_view base, std::string_view patch = "{}") {
  json::object object = Merged(Parse(base), Parse(patch)).as_object();
  return Admit(object);
}

// What is wrong with an update of `base` by `patch`.
inline std::string Update(std::string_view base, std::string_view patch) {
  json::object before = Parse(base);
  EXPECT_EQ(Admit(before), "");
  json::object after = Merged(before, Parse(patch)).as_object();
  return Admit(after, &before);
}

// The cells of the object's row, joined by " | "; those of wide output too.
inline std::string Row(std::string_view text,
                       absl::Time now = absl::FromUnixSeconds(1'700'000'000)) {
  const json::object object = Parse(text);
  std::string row;
  for (const json::value& cell : TableCells(*KindOf(object), object, now)) {
    if (!row.empty()) row += " | ";
    row += cell.is_string() ? std::string(View(cell.get_string())) : ToJson(cell);
  }
  return row;
}

}  // namespace keel::orchestrator
