// Structural schemas: what the fields of objects are, in one short text per type.
//
//   absl::Status added = types.Add(R"(
//     # How a Deployment replaces its pods.
//     DeploymentStrategy {
//       type           string = "RollingUpdate" enum(Recreate, RollingUpdate)
//                                                   -- How pods are replaced.
//       rollingUpdate  RollingUpdateDeployment      -- Only for type RollingUpdate.
//     }
//     DeploymentSpec {
//       replicas   int32 = 1 min(0)                 -- How many pods are wanted.
//       selector!  LabelSelector immutable          -- Which pods are counted.
//       template!  PodTemplateSpec                  -- What new pods look like.
//       strategy   DeploymentStrategy = {}          -- How old pods make room for new ones.
//     }
//     PodSpec {
//       containers!   [Container] key(name)         -- A list that is a map by name.
//       nodeSelector  {string}                      -- Maps: values of that type, keys are strings.
//       finalizers    [string] set                  -- A set.
//     }
//   )");
//
// A `!` after the name: required. Types: string, bool, int32, int64, number, bytes (base64), time,
// microtime, quantity, intstr (integer or string), any (whatever, kept as it is), T (a type by its
// name), [T], {T}. Modifiers: `= JSON` default; enum(...); min(N); max(N); maxlen(N);
// minlen(N); pattern("..."); key(a, b) for a list that is a map by those fields (strategic merge:
// by the first); dups (of such keys are accepted, as Kubernetes does for env and container ports);
// set; atomic (a list, map or object that is replaced whole); merge (a list of scalars that
// strategic merge unites); retainkeys (strategic merge); immutable (cannot change once set; checked
// by CheckImmutable); nullable; preserve (unknown members of an object are kept). On a list min and
// max count its items, while enum, pattern, minlen and maxlen mean each item. A required string may
// not be empty either. A type may have modifiers before its brace: `LabelSelector atomic { ... }`.
//
// A comment after `--` is what `kubectl explain` prints. It, and the modifiers, may go on over
// following lines that start with `--` or are indented at least four columns deeper than the
// fields. `# ...` before a type describes the type. A type may stand on one line:
// `LocalObjectReference { name string -- Of the object. }`.
//
// Types live in a scope, the API version of their kinds ("apps/v1"; HorizontalPodAutoscalerSpec is
// another type in autoscaling/v1 and v2). A name means the type of its own scope, else the common
// one (scope ""). The top type of a kind gets apiVersion, kind and metadata from MakeTop.
//
// One engine does from it: defaults, checks of unknown and wrong fields, merge keys for strategic
// merge and server-side apply, and OpenAPI. A CustomResourceDefinition's openAPIV3Schema becomes
// such a schema too.
//
// Thread-safety: const methods may be called from any thread once Resolve has returned.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

enum class FieldType : uint8_t {
  kString,
  kBool,
  kInt32,
  kInt64,
  kNumber,
  kBytes,
  kTime,
  kMicroTime,
  kQuantity,
  kIntOrString,
  kAny,
  kObject,
  kList,
  kMap,
};

struct Schema;

struct Field {
  std::string name;
  std::string description{};
  const Schema* schema = nullptr;
  bool required = false;
  // A required text that is empty is missing (the kinds of Keel, not those of CRDs).
  bool empty_is_missing = false;
};

// A compiled regular expression.
class Pattern;
struct ValueRules;

// One node of a schema: a type by its name, or the type of a field with its modifiers.
struct Schema {
  FieldType type = FieldType::kAny;
  std::string name{};   // of the type ("PodSpec"); empty for lists, maps and scalars
  std::string scope{};  // of the type ("apps/v1"); empty for common ones
  std::string description{};
  std::vector<Field> fields{};    // kObject
  const Schema* items = nullptr;  // kList, kMap
  // Unknown members of an object are kept (CRDs: x-kubernetes-preserve-unknown-fields).
  bool preserve_unknown = false;
  bool embedded_resource = false;  // CRDs: has apiVersion, kind, metadata
  bool nullable = false;
  bool immutable = false;
  std::optional<json::value> default_value{};
  std::vector<std::string> enum_values{};  // of types other than string: as JSON
  bool checks_empty = false;               // an empty string too must be one of the enum (CRDs)
  std::optional<double> minimum{}, maximum{};
  bool exclusive_minimum = false, exclusive_maximum = false;
  std::optional<int64_t> min_length{}, max_length{}, min_items{}, max_items{};
  std::string format{};  // kString: only told, not checked
  std::string pattern{};
  std::shared_ptr<const Pattern> compiled_pattern{};
  enum class ListKind : uint8_t { kAtomic, kSet, kMap };
  ListKind list_kind = ListKind::kAtomic;
  std::vector<std::string> map_keys{};  // kMap: the key; the first is strategic merge's merge key
  bool duplicates_allowed = false;      // of those keys
  bool merge_scalars = false;           // strategic merge of a list of scalars unites
  bool retain_keys = false;
  // What else a CRD asks of values here (value_rules.h); null: nothing.
  std::shared_ptr<const ValueRules> rules{};
  bool atomic = false;  // objects and maps: server-side apply owns them whole

  // Whether this or anything below it has a default or is immutable: what has none is not walked.
  bool has_defaults = true;
  bool has_immutable = true;

  const Field* FindField(std::string_view field) const;
};

// All types of a server, by name. Owns every Schema.
class TypeRegistry {
 public:
  TypeRegistry();
  ~TypeRegistry();

  // Parses a schema text; types may name others that come later. InvalidArgument with the line.
  // REQUIRES: Resolve has not been called.
  absl::Status Add(std::string_view text, std::string_view scope = "");
  // Gives the type the fields that every object has: apiVersion, kind and metadata (the common type
  // ObjectMeta), before its own. InvalidArgument when there is no such type in that very scope.
  absl::Status MakeTop(std::string_view type, std::string_view scope = "");
  // After the last Add: connects names. InvalidArgument names a type that nobody described.
  absl::Status Resolve();
  // What the name means in that scope; null when there is none. Stays valid as long as the
  // registry.
  const Schema* FindType(std::string_view name, std::string_view scope = "") const;
  // Of all scopes, sorted by scope and name.
  std::vector<const Schema*> Types() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A schema from a CustomResourceDefinition's `openAPIV3Schema`; it owns all its parts. Never null:
// what is wrong is added to `errors` under `path`. Understood are types, properties, items,
// additionalProperties, required, defaults, nullable, enum, bounds, lengths, pattern and the
// x-kubernetes- marks of lists, maps, unknown fields and integers or strings, and what
// value_rules.h has. Not evaluated are x-kubernetes-validations (CEL).
std::shared_ptr<const Schema> SchemaFromOpenApi(const json::object& open_api, std::string_view path,
                                                FieldErrors& errors);

// What follows takes values, or (for types that are objects) objects without copying them.

// Puts defaults where fields are missing (also inside lists and maps).
void ApplyDefaults(const Schema& schema, json::value& value);
void ApplyDefaults(const Schema& schema, json::object& object);

// Finds members that the schema does not know and removes them; their paths go to `unknown`
// ("spec.foo", "spec.containers[0].bar"). Null, which means "not there" in Kubernetes' JSON, is
// removed too where it is not allowed (and is not reported).
void PruneUnknown(const Schema& schema, json::value& value, std::vector<std::string>* unknown);
void PruneUnknown(const Schema& schema, json::object& object, std::vector<std::string>* unknown);

// Types, required, enums, bounds, patterns, duplicate keys of map lists and sets. Unknown members
// are none of its business.
void CheckSchema(const Schema& schema, const json::value& value, std::string_view path,
                 FieldErrors& errors);
void CheckSchema(const Schema& schema, const json::object& object, std::string_view path,
                 FieldErrors& errors);
// Fields marked immutable that had a value and differ. Items of lists that are maps are compared by
// their keys.
void CheckImmutable(const Schema& schema, const json::value& now, const json::value& before,
                    std::string_view path, FieldErrors& errors);
void CheckImmutable(const Schema& schema, const json::object& now, const json::object& before,
                    std::string_view path, FieldErrors& errors);

}  // namespace keel::orchestrator
