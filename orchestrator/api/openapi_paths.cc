#include "orchestrator/api/openapi_paths.h"

#include "base/strings.h"
#include "orchestrator/api/computed.h"
#include "orchestrator/api/openapi_schema.h"

namespace keel::orchestrator {
namespace {

struct Parameter {
  const char* name;
  const char* type;
  const char* description;
};

constexpr Parameter kDryRun = {"dryRun", "string", "All: do everything but store the result."};
constexpr Parameter kFieldManager = {"fieldManager", "string",
                                     "Who makes the change, for managedFields."};
constexpr Parameter kFieldValidation = {
    "fieldValidation", "string",
    "What becomes of unknown and duplicate fields: Ignore, Warn or Strict."};
constexpr Parameter kForce = {"force", "boolean",
                              "Apply: take over fields that others own instead of a conflict."};
constexpr Parameter kSelect[] = {
    {"labelSelector", "string", "Only objects with these labels."},
    {"fieldSelector", "string", "Only objects with these values of fields."},
    {"limit", "integer", "At most so many objects; the answer says how to go on."},
    {"continue", "string", "Go on where the list before ended."},
    {"resourceVersion", "string", "How new the answer must be."},
    {"resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."},
    {"timeoutSeconds", "integer", "End the call after that time."}};
constexpr Parameter kWatch[] = {
    {"watch", "boolean", "Stream changes instead of listing."},
    {"allowWatchBookmarks", "boolean", "Send bookmarks between changes."},
    {"sendInitialEvents", "boolean", "Begin with what is there as if it were new."}};
constexpr Parameter kDelete[] = {
    {"gracePeriodSeconds", "integer", "How long the object may take to end."},
    {"orphanDependents", "boolean", "Deprecated: use propagationPolicy."},
    {"propagationPolicy", "string", "What becomes of dependents: Orphan, Background, Foreground."}};

struct Place {
  std::string path{};  // below the group and version
  std::string id{};    // of operations: "NamespacedPodStatus"
  bool namespaced = false;
  bool named = false;
  bool is_scale = false;
};

class Writer {
 public:
  Writer(const DescribedKind& described, int version, json::object& paths)
      : described_(described), kind_(described.kind), version_(version), paths_(paths) {
    const std::string base = kind_.group.empty()
                                 ? base::StrCat("/api/", kind_.version)
                                 : base::StrCat("/apis/", kind_.group, "/", kind_.version);
    base_ = base;
    // "AppsV1", "CoreV1".
    group_id_ = kind_.group.empty() ? "core" : kind_.group.substr(0, kind_.group.find('.'));
    group_id_[0] = static_cast<char>(group_id_[0] & ~0x20);
    std::string version_id = kind_.version;
    version_id[0] = static_cast<char>(version_id[0] & ~0x20);
    group_id_ += version_id;
  }

  void AddAll() {
    const std::string in_namespace = kind_.namespaced ? "/namespaces/{namespace}" : "";
    const std::string scoped = kind_.namespaced ? "Namespaced" : "";
    Place all{.path = in_namespace + "/" + kind_.plural,
              .id = scoped + kind_.kind,
              .namespaced = kind_.namespaced};
    Operations of_all{{"get", List("list", all)}};
    if (!IsComputed(kind_)) {
      of_all.emplace_back("post", Write("post", "create", all));
      of_all.emplace_back("delete", DeleteAll(all));
    }
    Add(all, std::move(of_all));
    if (kind_.namespaced) {
      const Place everywhere{.path = "/" + kind_.plural, .id = kind_.kind + "ForAllNamespaces"};
      Add(everywhere, {{"get", List("list", everywhere)}});
    }
    Place one = all;
    one.path += "/{name}";
    one.named = true;
    if (IsComputed(kind_)) return Add(one, {{"get", Read(one)}});
    Add(one, {{"get", Read(one)},
              {"put", Write("put", "replace", one)},
              {"patch", Patch(one)},
              {"delete", Delete(one)}});
    if (kind_.has_status) Subresource(one, "status", "Status");
    if (!kind_.scale.spec_replicas.empty()) Subresource(one, "scale", "Scale");
  }

 private:
  using Operations = std::vector<std::pair<const char*, json::object>>;

  void Add(const Place& place, Operations operations) {
    json::object path;
    for (auto& [method, operation] : operations) path[method] = std::move(operation);
    json::array parameters;
    if (place.named) parameters.push_back(PathParameter("name", "The name of the object."));
    if (place.namespaced) {
      parameters.push_back(PathParameter("namespace", "The namespace of the object."));
    }
    if (!parameters.empty()) path["parameters"] = std::move(parameters);
    paths_[base_ + place.path] = std::move(path);
  }

  void Subresource(const Place& object, const char* name, const char* id) {
    Place place = object;
    place.path += base::StrCat("/", name);
    place.id += id;
    place.is_scale = std::string_view(name) == "scale";
    Add(place,
        {{"get", Read(place)}, {"put", Write("put", "replace", place)}, {"patch", Patch(place)}});
  }

  json::object Operation(std::string_view action, std::string_view verb, const Place& place,
                         std::string_view description, const std::string& answer) {
    json::object operation;
    operation["description"] = base::StrCat(description, " ", kind_.kind);
    operation["operationId"] = base::StrCat(verb, group_id_, place.id);
    operation["tags"] = json::array{json::string(group_id_)};
    json::object ok{{"description", "OK"}};
    if (!answer.empty()) {
      json::object schema{{"$ref", ReferenceTo(answer, version_)}};
      if (version_ == 2) {
        ok["schema"] = std::move(schema);
      } else {
        ok["content"] =
            json::object{{"application/json", json::object{{"schema", std::move(schema)}}}};
      }
    }
    operation["responses"] = json::object{{"200", std::move(ok)}};
    if (version_ == 2) operation["produces"] = json::array{"application/json"};
    operation["x-kubernetes-action"] = action;
    operation["x-kubernetes-group-version-kind"] =
        place.is_scale
            ? json::object{{"group", "autoscaling"}, {"kind", "Scale"}, {"version", "v1"}}
            : json::object{
                  {"group", kind_.group}, {"kind", kind_.kind}, {"version", kind_.version}};
    operation["parameters"] = json::array();
    return operation;
  }

  std::string AnswerOf(const Place& place) const {
    return place.is_scale ? "" : described_.definition;
  }

  json::object List(std::string_view action, const Place& place) {
    json::object operation = Operation(action, "list", place, "list or watch objects of kind",
                                       described_.list_definition);
    for (const Parameter& parameter : kSelect) AddQuery(parameter, operation);
    for (const Parameter& parameter : kWatch) AddQuery(parameter, operation);
    return operation;
  }
  json::object Read(const Place& place) {
    return Operation("get", "read", place, "read the specified", AnswerOf(place));
  }
  json::object Write(std::string_view action, std::string_view verb, const Place& place) {
    json::object operation =
        Operation(action, verb, place, verb == "create" ? "create a" : "replace the specified",
                  AnswerOf(place));
    for (const Parameter& one : {kDryRun, kFieldManager, kFieldValidation})
      AddQuery(one, operation);
    AddBody(operation, {"application/json", "application/yaml"}, AnswerOf(place));
    return operation;
  }
  json::object Patch(const Place& place) {
    json::object operation =
        Operation("patch", "patch", place, "partially update the specified", AnswerOf(place));
    for (const Parameter& one : {kDryRun, kFieldManager, kFieldValidation, kForce}) {
      AddQuery(one, operation);
    }
    std::vector<const char*> types = {"application/json-patch+json", "application/merge-patch+json",
                                      "application/apply-patch+yaml"};
    if (described_.strategic_merge) types.push_back("application/strategic-merge-patch+json");
    AddBody(operation, types, "");
    return operation;
  }
  json::object Delete(const Place& place) {
    json::object operation = Operation("delete", "delete", place, "delete a", "");
    AddQuery(kDryRun, operation);
    for (const Parameter& parameter : kDelete) AddQuery(parameter, operation);
    return operation;
  }
  json::object DeleteAll(const Place& place) {
    Place collection = place;
    collection.id = "Collection" + place.id;
    json::object operation =
        Operation("deletecollection", "delete", collection, "delete collection of", "");
    AddQuery(kDryRun, operation);
    for (const Parameter& parameter : kSelect) AddQuery(parameter, operation);
    for (const Parameter& parameter : kDelete) AddQuery(parameter, operation);
    return operation;
  }

  void AddQuery(const Parameter& parameter, json::object& operation) const {
    json::object out{
        {"name", parameter.name}, {"in", "query"}, {"description", parameter.description}};
    if (version_ == 2) {
      out["type"] = parameter.type;
      out["uniqueItems"] = true;
    } else {
      out["schema"] = json::object{{"type", parameter.type}, {"uniqueItems", true}};
    }
    operation["parameters"].get_array().push_back(std::move(out));
  }

  json::object PathParameter(const char* name, const char* description) const {
    json::object out{
        {"name", name}, {"in", "path"}, {"description", description}, {"required", true}};
    if (version_ == 2) {
      out["type"] = "string";
    } else {
      out["schema"] = json::object{{"type", "string"}};
    }
    return out;
  }

  void AddBody(json::object& operation, const std::vector<const char*>& types,
               const std::string& definition) const {
    json::object schema;
    if (definition.empty()) {
      schema["type"] = "object";
    } else {
      schema["$ref"] = ReferenceTo(definition, version_);
    }
    if (version_ == 2) {
      json::array consumes;
      for (const char* type : types) consumes.push_back(json::string(type));
      operation["consumes"] = std::move(consumes);
      operation["parameters"].get_array().push_back(json::object{
          {"name", "body"}, {"in", "body"}, {"required", true}, {"schema", std::move(schema)}});
      return;
    }
    json::object content;
    for (const char* type : types) content[type] = json::object{{"schema", schema}};
    operation["requestBody"] = json::object{{"content", std::move(content)}, {"required", true}};
  }

  const DescribedKind& described_;
  const Kind& kind_;
  const int version_;
  json::object& paths_;
  std::string base_;
  std::string group_id_;
};

}  // namespace

void AddPaths(const DescribedKind& described, int version, json::object& paths) {
  Writer(described, version, paths).AddAll();
}

}  // namespace keel::orchestrator
