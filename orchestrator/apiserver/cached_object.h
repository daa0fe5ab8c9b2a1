// One version of an object as the cache holds it: the bytes that clients get, and beside them what
// selectors ask for, so that lists and watches never parse.
//
// Immutable and shared: lists, watchers and the event ring hold the same bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

// What selectors look at. Successive versions of an object that agree in it share one.
struct ObjectFacts {
  std::vector<std::pair<std::string, std::string>> labels;  // sorted
  std::vector<std::string> fields;  // the values of Kind::selectable_fields, in their order
  friend bool operator==(const ObjectFacts&, const ObjectFacts&) = default;
};

struct CachedObject {
  std::string ns, name, uid;
  int64_t create_revision = 0;
  int64_t revision = 0;  // metadata.resourceVersion
  std::shared_ptr<const ObjectFacts> facts;
  std::string bytes;  // JSON, with metadata.resourceVersion

  // The object itself, parsed anew.
  absl::StatusOr<json::object> Parse() const;
  size_t MemoryBytes() const { return sizeof(*this) + bytes.size() + uid.size() + 64; }
};
using CachedObjectPtr = std::shared_ptr<const CachedObject>;

// The bytes alone, keeping the object alive.
inline std::shared_ptr<const std::string> BytesOf(const CachedObjectPtr& object) {
  return {object, &object->bytes};
}

// `fields`: paths like "spec.nodeName". `before` (may be null) lends its facts when they are equal.
ObjectFacts FactsOf(const json::object& object, const std::vector<std::string>& fields);
std::shared_ptr<const ObjectFacts> ShareFacts(ObjectFacts facts, const CachedObject* before);

// The value at a path of dots as field selectors compare it: "" when missing, "true", "12".
std::string FieldValueAt(const json::object& object, std::string_view path);

}  // namespace keel::orchestrator
