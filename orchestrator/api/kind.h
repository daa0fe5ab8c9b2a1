// A kind of object: all that the API server knows about it, in one place.
//
// Each kind of Keel is one file in orchestrator/kinds that defines a function which returns its
// Kind; the file's name gives the function's (replica_set.cc: `Kind ReplicaSetKind()`), and the
// build lists them, so adding a kind is adding one file. CustomResourceDefinitions make Kinds at
// run time.
//
//   Kind ConfigMapKind() {
//     return {.version = "v1", .kind = "ConfigMap", .plural = "configmaps", .short_names = {"cm"},
//             .namespaced = true,
//             .types = R"(ConfigMap { data {string} -- Values by name. ... })",
//             .columns = {{.name = "Data", .type = "integer", .cell = CountOfData}, Age()}};
//   }
//
// Every top type has apiVersion, kind and metadata without saying so. Thread-safety: immutable once
// in a KindRegistry.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/schema.h"

namespace keel::orchestrator {

// A column of the table that `kubectl get` prints.
struct Column {
  std::string name;
  std::string type = "string";  // "string", "integer", "date", ...
  std::string description{};
  int priority = 0;      // 1: only with -o wide
  std::string format{};  // "name" for the first
  std::function<json::value(const json::object& object, absl::Time now)> cell{};
};
// The columns that nearly every kind has.
Column NameColumn();
Column AgeColumn();
// The text at a path, "<none>"... as given when missing.
Column TextColumn(std::string name, std::vector<std::string> path, std::string missing = "",
                  int priority = 0);
// kubectl's short durations: "5d3h".
std::string HumanDuration(absl::Duration duration);
std::string AgeOf(std::string_view rfc3339, absl::Time now);  // "<unknown>" for an empty text

// Where `scale` reads and writes; empty: the kind has no such subresource.
struct ScalePaths {
  std::vector<std::string> spec_replicas{};    // {"spec", "replicas"}
  std::vector<std::string> status_replicas{};  // {"status", "replicas"}
  // A label selector object (matchLabels ...), a plain map, or (CRDs) a text.
  std::vector<std::string> selector{};
};

struct Kind {
  std::string group{};      // "" for the core group
  std::string version{};    // "v1"
  std::string kind{};       // "ReplicaSet"
  std::string plural{};     // "replicasets"
  std::string singular{};   // empty: the kind in lower case
  std::string list_kind{};  // empty: kind + "List"
  std::vector<std::string> short_names{};
  std::vector<std::string> categories{};  // "all"
  bool namespaced = true;

  // Only POSTed, never stored (reviews): no list, get, watch, update or delete; the answer is the
  // object with its status filled in.
  bool create_only = false;

  // The schema's text (schema.h): the top type, named like the kind (where another version has that
  // name already: kind and version, "HorizontalPodAutoscalerV1"), and the types that only it uses.
  // Types that several kinds use stand in orchestrator/kinds/common.
  std::string types{};
  // Instead of `types`, for kinds made at run time. In a registry it is set for every kind.
  std::shared_ptr<const Schema> own_schema{};

  // After the name; empty: only the age.
  std::vector<Column> columns{};
  bool name_column_first = true;  // false: `columns` holds the name's too (events: the last one)

  bool has_status = false;  // the subresource; create and update leave status alone, status only it
  bool keeps_status_on_create = false;  // but a create may bring it (nodes register with theirs)
  ScalePaths scale{};
  // metadata.generation grows when anything but metadata and status changes.
  bool has_generation = false;
  // Fields besides metadata.name and metadata.namespace that field selectors may name, with the
  // path of each: {"status.phase", ...} is read as the path of its parts.
  std::vector<std::string> selectable_fields{};
  // Must be a DNS label (services, namespaces) rather than a DNS subdomain; RBAC names are path
  // segments.
  enum class NameRule : uint8_t { kSubdomain, kLabel, kLabel1035, kPathSegment };
  NameRule name_rule = NameRule::kSubdomain;
  bool can_update_without_version = true;  // an update may leave out metadata.resourceVersion
  bool can_create_by_update = false;       // PUT makes what is not there; else it is a 404

  // Beyond the schema's defaults, on create and update after them; must be idempotent.
  std::function<void(json::object& object)> set_defaults{};
  // On create (before == null) and update, not of subresources, before the checks: clears and
  // copies what clients do not decide (a Pod's status, a Service's allocated address).
  std::function<void(json::object& object, const json::object* before)> prepare{};
  // Beyond the schema.
  std::function<void(const json::object& object, FieldErrors& errors)> check{};
  std::function<void(const json::object& object, FieldErrors& errors)> check_create{};
  std::function<void(const json::object& object, const json::object& before, FieldErrors& errors)>
      check_update{};
  // Warnings for the client (the Warning header).
  std::function<std::vector<std::string>(const json::object& object)> warnings{};

  // Another version of the same kind in which objects are stored; empty: this one. Both functions
  // are set then. With `stored_group` it is one of another group (events), whose selectable_fields
  // are the same ones by position, whatever their names.
  std::string stored_version{};
  std::optional<std::string> stored_group{};
  std::function<void(json::object& object)> to_stored{};    // from this version
  std::function<void(json::object& object)> from_stored{};  // to this version

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  std::string resource() const { return group.empty() ? plural : plural + "." + group; }
  // Under which objects lie in the store and in the cache.
  std::string stored_resource() const {
    const std::string& in = stored_group.has_value() ? *stored_group : group;
    return in.empty() ? plural : plural + "." + in;
  }
};

// All kinds that a server knows.
class KindRegistry {
 public:
  // With the kinds of `kinds`, their types and the common ones resolved. InvalidArgument says what
  // in which kind is wrong.
  static absl::StatusOr<std::unique_ptr<KindRegistry>> Create(
      std::vector<Kind> kinds, const std::vector<std::string>& common_types);

  // Null when there is none. Pointers last until the kind is removed.
  std::shared_ptr<const Kind> FindByResource(std::string_view group, std::string_view version,
                                             std::string_view plural) const;
  std::shared_ptr<const Kind> FindByKind(std::string_view group, std::string_view version,
                                         std::string_view kind) const;
  // The one in whose version objects of this kind are stored.
  std::shared_ptr<const Kind> Stored(const Kind& kind) const;
  // In the order of groups and versions in which discovery lists them.
  std::vector<std::shared_ptr<const Kind>> All() const;
  // apiVersion, kind and metadata included. REQUIRES: `kind` is out of this registry.
  const Schema& SchemaOf(const Kind& kind) const;
  const TypeRegistry& types() const { return *types_; }

  // Kinds of CustomResourceDefinitions. Add replaces one of the same group, version and plural.
  // The fields apiVersion, kind and metadata are added to its own_schema. REQUIRES: own_schema.
  void Add(Kind kind);
  void RemoveGroupResource(std::string_view group, std::string_view plural);
  // Grows with each Add and Remove: what was derived (OpenAPI, discovery) is old then.
  uint64_t generation() const { return generation_; }

 private:
  KindRegistry();
  std::unique_ptr<TypeRegistry> types_;
  std::vector<std::shared_ptr<const Kind>> kinds_;
  uint64_t generation_ = 0;
};

}  // namespace keel::orchestrator
