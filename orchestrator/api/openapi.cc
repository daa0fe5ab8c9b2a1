#include "orchestrator/api/openapi.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "orchestrator/api/openapi_paths.h"
#include "orchestrator/api/openapi_proto.h"
#include "orchestrator/api/openapi_schema.h"

namespace keel::orchestrator {
namespace {

constexpr std::string_view kMeta = "io.k8s.apimachinery.pkg.apis.meta.v1.";
constexpr std::string_view kCore = "io.k8s.api.core.v1.";

// Types that Kubernetes has beside all groups.
bool IsMetaType(std::string_view name) {
  static constexpr std::string_view kNames[] = {"ObjectMeta",
                                                "ListMeta",
                                                "OwnerReference",
                                                "ManagedFieldsEntry",
                                                "LabelSelector",
                                                "Condition",
                                                "LabelSelectorRequirement",
                                                "DeleteOptions",
                                                "Preconditions",
                                                "Status",
                                                "StatusDetails",
                                                "StatusCause",
                                                "APIResource",
                                                "WatchEvent"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

// What definitions of a group and version begin with: "io.k8s.api.apps.v1.".
std::string PackageOf(std::string_view group, std::string_view version) {
  if (group.empty()) return base::StrCat("io.k8s.api.core.", version, ".");
  if (group == "apiextensions.k8s.io") {
    return base::StrCat("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.", version, ".");
  }
  if (group == "apiregistration.k8s.io") {
    return base::StrCat("io.k8s.kube-aggregator.pkg.apis.apiregistration.", version, ".");
  }
  const size_t dot = group.find('.');
  if (dot == std::string_view::npos || group.substr(dot) == ".k8s.io" ||
      group.substr(dot) == ".authorization.k8s.io") {
    return base::StrCat("io.k8s.api.", group.substr(0, dot), ".", version, ".");
  }
  // com.example.stable for stable.example.com.
  std::string reversed;
  while (!group.empty()) {
    const size_t last = group.rfind('.');
    reversed += group.substr(last == std::string_view::npos ? 0 : last + 1);
    reversed += '.';
    group = group.substr(0, last == std::string_view::npos ? 0 : last);
  }
  return base::StrCat(reversed, version, ".");
}

std::string PathOf(const Kind& kind) {
  return kind.group.empty() ? base::StrCat("api/", kind.version)
                            : base::StrCat("apis/", kind.group, "/", kind.version);
}

json::array GroupVersionKind(const Kind& kind, const std::string& name) {
  return {json::object{{"group", kind.group}, {"kind", name}, {"version", kind.version}}};
}

uint64_t Hash(std::string_view text) {  // FNV-1a
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

using TypeId = std::pair<std::string, std::string>;  // scope, name

TypeId IdOf(const Schema& schema) { return {schema.scope, schema.name}; }

}  // namespace

// All that the documents are made of, and those that have been made.
struct OpenApi::Model {
  std::vector<std::shared_ptr<const Kind>> kinds;
  const KindRegistry* registry = nullptr;
  std::map<TypeId, std::string> top_names;                                // of the types of kinds
  std::map<TypeId, std::set<std::pair<std::string, std::string>>> users;  // groups and versions

  std::map<std::string, std::pair<Document, std::string>, std::less<>> v3;  // document, hash
  Document v3_index, v2_json, v2_proto;

  explicit Model(const KindRegistry& of) : kinds(of.All()), registry(&of) {
    for (const auto& kind : kinds) {
      const Schema& schema = of.SchemaOf(*kind);
      if (!schema.name.empty()) {
        top_names[IdOf(schema)] = PackageOf(kind->group, kind->version) + kind->kind;
      }
      std::set<const Schema*> seen;
      FindUsers(schema, *kind, seen);
    }
  }

  void FindUsers(const Schema& schema, const Kind& kind, std::set<const Schema*>& seen) {
    if (!seen.insert(&schema).second) return;
    if (!schema.name.empty()) users[IdOf(schema)].insert({kind.group, kind.version});
    for (const Field& field : schema.fields) FindUsers(*field.schema, kind, seen);
    if (schema.items != nullptr) FindUsers(*schema.items, kind, seen);
  }

  // The definition of a named type. One that a single group uses is that group's; what several use
  // is Kubernetes' core.
  std::string NameOf(const Schema& type) const {
    const TypeId id = IdOf(type);
    if (const auto top = top_names.find(id); top != top_names.end()) return top->second;
    if (IsMetaType(type.name)) return base::StrCat(kMeta, type.name);
    const auto found = users.find(id);
    if (found == users.end() || found->second.empty()) return base::StrCat(kCore, type.name);
    const auto& first = *found->second.begin();
    const bool one_group = std::all_of(found->second.begin(), found->second.end(),
                                       [&](const auto& use) { return use.first == first.first; });
    return one_group ? PackageOf(first.first, first.second) + type.name
                     : base::StrCat(kCore, type.name);
  }

  // Definitions and paths of some kinds, with all that the definitions refer to.
  void Describe(const std::vector<std::shared_ptr<const Kind>>& of, int version,
                json::object& definitions, json::object& paths) const {
    std::vector<const Schema*> pending;
    std::set<TypeId> seen;
    OpenApiDialect dialect;
    dialect.version = version;
    dialect.reference = [&](const Schema& type) {
      if (seen.insert(IdOf(type)).second) pending.push_back(&type);
      return NameOf(type);
    };
    definitions = ScalarDefinitions(version);
    definitions[base::StrCat(kMeta, "ListMeta")] = ListMeta();
    for (const auto& kind : of) {
      const Schema& schema = registry->SchemaOf(*kind);
      const std::string package = PackageOf(kind->group, kind->version);
      const std::string name = package + kind->kind;
      const std::string list_name = package + kind->list_kind;
      if (!schema.name.empty()) seen.insert(IdOf(schema));
      json::object definition = DefinitionOf(schema, dialect);
      definition["x-kubernetes-group-version-kind"] = GroupVersionKind(*kind, kind->kind);
      definitions[name] = std::move(definition);
      definitions[list_name] = ListOf(*kind, name, version);
      AddPaths({.kind = *kind,
                .definition = name,
                .list_definition = list_name,
                .strategic_merge = !schema.name.empty()},
               version, paths);
    }
    while (!pending.empty()) {
      const Schema* type = pending.back();
      pending.pop_back();
      definitions[NameOf(*type)] = DefinitionOf(*type, dialect);
    }
  }

  static json::object ListOf(const Kind& kind, const std::string& item, int version) {
    const json::object text{{"type", "string"}};
    json::object properties;
    properties["apiVersion"] = text;
    properties["items"] =
        json::object{{"description", "The objects."},
                     {"items", json::object{{"$ref", ReferenceTo(item, version)}}},
                     {"type", "array"}};
    properties["kind"] = text;
    properties["metadata"] =
        json::object{{"$ref", ReferenceTo(base::StrCat(kMeta, "ListMeta"), version)}};
    return json::object{
        {"description", base::StrCat("A list of ", kind.kind, " objects.")},
        {"type", "object"},
        {"required", json::array{"items"}},
        {"properties", std::move(properties)},
        {"x-kubernetes-group-version-kind", GroupVersionKind(kind, kind.list_kind)}};
  }

  static json::object ListMeta() {
    auto text = [](const char* description) {
      return json::object{{"type", "string"}, {"description", description}};
    };
    return json::object{
        {"description", "What every list carries."},
        {"type", "object"},
        {"properties",
         json::object{{"continue", text("Send it back to read on.")},
                      {"remainingItemCount",
                       json::object{{"type", "integer"},
                                    {"format", "int64"},
                                    {"description", "How many objects follow, about."}}},
                      {"resourceVersion", text("The version that the list shows.")},
                      {"selfLink", text("Deprecated; no longer filled in.")}}}};
  }

  json::object V2() const {
    json::object definitions, paths;
    Describe(kinds, 2, definitions, paths);
    return json::object{{"swagger", "2.0"},
                        {"info", Info()},
                        {"paths", std::move(paths)},
                        {"definitions", std::move(definitions)}};
  }

  static json::object Info() { return {{"title", "Keel"}, {"version", "v1.35.0+keel"}}; }

  const std::pair<Document, std::string>* Make(std::string_view path) {
    if (const auto made = v3.find(path); made != v3.end()) return &made->second;
    std::vector<std::shared_ptr<const Kind>> of;
    for (const auto& kind : kinds) {
      if (PathOf(*kind) == path) of.push_back(kind);
    }
    if (of.empty()) return nullptr;
    json::object definitions, paths;
    Describe(of, 3, definitions, paths);
    auto document = std::make_shared<const std::string>(json::serialize(
        json::object{{"openapi", "3.0.0"},
                     {"info", Info()},
                     {"paths", std::move(paths)},
                     {"components", json::object{{"schemas", std::move(definitions)}}}}));
    std::string hash = absl::StrFormat("%016X", Hash(*document));
    return &v3.emplace(path, std::make_pair(std::move(document), std::move(hash))).first->second;
  }
};

OpenApi::OpenApi(const KindRegistry& kinds) : kinds_(kinds) {}
OpenApi::~OpenApi() = default;

OpenApi::Model& OpenApi::Current() {
  if (model_ == nullptr || generation_ != kinds_.generation()) {
    generation_ = kinds_.generation();
    model_ = std::make_unique<Model>(kinds_);
  }
  return *model_;
}

OpenApi::Document OpenApi::V3Index() {
  Model& model = Current();
  if (model.v3_index != nullptr) return model.v3_index;
  json::object paths;
  for (const auto& kind : model.kinds) {
    const std::string path = PathOf(*kind);
    if (paths.contains(path)) continue;
    paths[path] =
        json::object{{"serverRelativeURL",
                      base::StrCat("/openapi/v3/", path, "?hash=", model.Make(path)->second)}};
  }
  model.v3_index = std::make_shared<const std::string>(
      json::serialize(json::object{{"paths", std::move(paths)}}));
  return model.v3_index;
}

OpenApi::Document OpenApi::V3(std::string_view group_version_path) {
  const auto* made = Current().Make(group_version_path);
  return made == nullptr ? nullptr : made->first;
}

std::string OpenApi::V3Hash(std::string_view group_version_path) {
  const auto* made = Current().Make(group_version_path);
  return made == nullptr ? std::string() : made->second;
}

OpenApi::Document OpenApi::V2Json() {
  Model& model = Current();
  if (model.v2_json == nullptr) {
    model.v2_json = std::make_shared<const std::string>(json::serialize(model.V2()));
  }
  return model.v2_json;
}

OpenApi::Document OpenApi::V2Proto() {
  Model& model = Current();
  if (model.v2_proto == nullptr) {
    model.v2_proto = std::make_shared<const std::string>(OpenApiV2ToProto(model.V2()));
  }
  return model.v2_proto;
}

}  // namespace keel::orchestrator
