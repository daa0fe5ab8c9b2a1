#include "orchestrator/apiserver/custom_resources.h"

#include <algorithm>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/crd_columns.h"

namespace keel::orchestrator {

namespace {

std::vector<std::string> TextsAt(const json::object& object, JsonPath path) {
  std::vector<std::string> out;
  for (const json::value& item : ArrayAt(object, path)) {
    if (item.is_string()) out.emplace_back(View(item.get_string()));
  }
  return out;
}

// ".spec.replicas" as the names of members.
std::vector<std::string> PathOf(std::string_view text) {
  if (text.empty()) return {};
  return absl::StrSplit(base::ToAbsl(text), '.', absl::SkipEmpty());
}

void SetCondition(json::object& status, std::string_view type, bool is, std::string_view reason,
                  std::string_view message) {
  const char* const value = is ? "True" : "False";
  json::array conditions;
  std::string since = orchestrator::FormatTime(absl::Now());
  for (const json::value& condition : ArrayAt(status, {"conditions"})) {
    if (StringAt(condition, {"type"}) != type) {
      conditions.push_back(condition);
    } else if (StringAt(condition, {"status"}) == value) {
      since = std::string(StringAt(condition, {"lastTransitionTime"}));
    }
  }
  auto text = [](std::string_view view) { return json::string(view.data(), view.size()); };
  conditions.push_back(json::object{{"type", text(type)},
                                    {"status", value},
                                    {"lastTransitionTime", since},
                                    {"reason", text(reason)},
                                    {"message", text(message)}});
  status["conditions"] = std::move(conditions);
}

bool HasCleanup(const json::object& definition) {
  const std::vector<std::string> finalizers = TextsAt(definition, {"metadata", "finalizers"});
  return std::find(finalizers.begin(), finalizers.end(), CustomResources::kCleanup) !=
         finalizers.end();
}

}  // namespace

std::vector<Kind> KindsOfDefinition(const json::object& definition, FieldErrors& errors) {
  std::vector<Kind> kinds;
  const json::object& spec = ObjectAt(definition, {"spec"});
  std::string stored;
  for (const json::value& version : ArrayAt(spec, {"versions"})) {
    if (BoolAt(version, {"storage"})) stored = std::string(StringAt(version, {"name"}));
  }
  size_t index = 0;
  for (const json::value& version : ArrayAt(spec, {"versions"})) {
    const std::string path = base::StrCat("spec.versions[", index++, "]");
    if (!version.is_object()) continue;
    Kind kind;
    kind.group = std::string(StringAt(spec, {"group"}));
    kind.version = std::string(StringAt(version, {"name"}));
    kind.kind = std::string(StringAt(spec, {"names", "kind"}));
    kind.plural = std::string(StringAt(spec, {"names", "plural"}));
    kind.singular = std::string(StringAt(spec, {"names", "singular"}));
    kind.list_kind = std::string(StringAt(spec, {"names", "listKind"}));
    if (kind.list_kind.empty()) kind.list_kind = kind.kind + "List";
    kind.short_names = TextsAt(spec, {"names", "shortNames"});
    kind.categories = TextsAt(spec, {"names", "categories"});
    kind.namespaced = StringAt(spec, {"scope"}) == "Namespaced";
    kind.own_schema = SchemaFromOpenApi(ObjectAt(version, {"schema", "openAPIV3Schema"}),
                                        base::StrCat(path, ".schema.openAPIV3Schema"), errors);
    if (kind.own_schema == nullptr) continue;
    for (const json::value& column : ArrayAt(version, {"additionalPrinterColumns"})) {
      if (!column.is_object()) continue;
      auto made = ColumnFromDefinition(column.as_object());
      if (made.ok()) kind.columns.push_back(*std::move(made));
    }
    if (kind.columns.empty()) kind.columns = {AgeColumn()};
    kind.has_status = Find(version, {"subresources", "status"}) != nullptr;
    if (const json::value* scale = Find(version, {"subresources", "scale"})) {
      kind.scale.spec_replicas = PathOf(StringAt(*scale, {"specReplicasPath"}));
      kind.scale.status_replicas = PathOf(StringAt(*scale, {"statusReplicasPath"}));
      kind.scale.selector = PathOf(StringAt(*scale, {"labelSelectorPath"}));
    }
    kind.has_generation = true;
    kind.can_update_without_version = false;
    for (const json::value& field : ArrayAt(version, {"selectableFields"})) {
      std::string_view text = StringAt(field, {"jsonPath"});
      if (text.starts_with('.')) kind.selectable_fields.emplace_back(text.substr(1));
    }
    // Versions differ in nothing but their name (conversion None).
    if (kind.version != stored) {
      kind.stored_version = stored;
      kind.to_stored = [](json::object&) {};
      kind.from_stored = [](json::object&) {};
    }
    if (BoolAt(version, {"served"}) || kind.version == stored) kinds.push_back(std::move(kind));
  }
  return kinds;
}

CustomResources::~CustomResources() {
  *alive_ = false;
  objects_.context().cache.Resource(kDefinitions).Unlisten(*this);
}

void CustomResources::Start() {
  ResourceCache& definitions = objects_.context().cache.Resource(kDefinitions);
  definitions.ForEach("", "", "", [this](const CachedObjectPtr& object) {
    if (auto parsed = object->Parse(); parsed.ok()) Take(*parsed);
    return true;
  });
  definitions.Listen(*this, {});
}

void CustomResources::OnReset() {
  objects_.context().loop.Post([this, alive = alive_] {
    if (!*alive) return;
    objects_.context().cache.WhenCurrent([this](absl::Status status) {
      if (status.ok()) {
        Start();
      } else {
        OnReset();
      }
    });
  });
}

void CustomResources::OnChange(const ObjectChange& change) {
  if (change.type == ChangeType::kDeleted) return Remove(change.object->name);
  if (auto parsed = change.object->Parse(); parsed.ok()) Take(*parsed);
}

void CustomResources::Remove(const std::string& name) {
  auto found = taken_.find(name);
  if (found == taken_.end()) return;
  objects_.context().kinds.RemoveGroupResource(found->second.group, found->second.plural);
  taken_.erase(found);
}

std::string CustomResources::ConflictOf(const json::object& definition) const {
  const std::string_view group = StringAt(definition, {"spec", "group"});
  const std::string_view plural = StringAt(definition, {"spec", "names", "plural"});
  const std::string_view kind_name = StringAt(definition, {"spec", "names", "kind"});
  for (const auto& kind : objects_.context().kinds.All()) {
    if (kind->group != group) continue;
    const bool own = std::any_of(taken_.begin(), taken_.end(), [&](const auto& taken) {
      return taken.second.group == group && taken.second.plural == kind->plural &&
             taken.first == StringAt(definition, {"metadata", "name"});
    });
    if (own) continue;
    if (kind->plural == plural) return base::StrCat("\"", plural, "\" is already in use");
    if (kind->kind == kind_name) return base::StrCat("\"", kind_name, "\" is already in use");
  }
  return "";
}

void CustomResources::Take(const json::object& definition) {
  const std::string name(StringAt(definition, {"metadata", "name"}));
  if (!StringAt(definition, {"metadata", "deletionTimestamp"}).empty()) {
    if (HasCleanup(definition)) CleanUp(name);
    return;
  }
  const std::string conflict = ConflictOf(definition);
  if (conflict.empty()) {
    FieldErrors errors;
    std::vector<Kind> kinds = KindsOfDefinition(definition, errors);
    const Names names{std::string(StringAt(definition, {"spec", "group"})),
                      std::string(StringAt(definition, {"spec", "names", "plural"}))};
    KindRegistry& registry = objects_.context().kinds;
    // Versions that are served no more go.
    std::vector<std::string> versions;
    for (const Kind& kind : kinds) versions.push_back(kind.version);
    for (const auto& kind : registry.All()) {
      if (kind->group == names.group && kind->plural == names.plural &&
          std::find(versions.begin(), versions.end(), kind->version) == versions.end()) {
        registry.RemoveGroupResource(names.group, names.plural);
        break;
      }
    }
    for (Kind& kind : kinds) registry.Add(std::move(kind));
    taken_[name] = names;
  }
  WriteStatus(definition, conflict);
}

void CustomResources::WriteStatus(const json::object& definition, std::string conflict) {
  const std::string name(StringAt(definition, {"metadata", "name"}));
  objects_.writer().Write(
      {.resource = std::string(kDefinitions), .name = name},
      [conflict](const json::object* before) -> absl::StatusOr<WritePlan> {
        if (before == nullptr) return WritePlan{.what = WritePlan::What::kNothing};
        WritePlan plan{.object = *before};
        json::object& metadata = plan.object["metadata"].as_object();
        if (!HasCleanup(*before) && StringAt(metadata, {"deletionTimestamp"}).empty()) {
          json::array finalizers = ArrayAt(metadata, {"finalizers"});
          finalizers.push_back(json::string_view(kCleanup.data(), kCleanup.size()));
          metadata["finalizers"] = std::move(finalizers);
        }
        if (!plan.object["status"].is_object()) plan.object["status"] = json::object();
        json::object& status = plan.object["status"].as_object();
        const bool accepted = conflict.empty();
        SetCondition(status, "NamesAccepted", accepted, accepted ? "NoConflicts" : "NameConflict",
                     accepted ? "no conflicts found" : conflict);
        SetCondition(
            status, "Established", accepted, accepted ? "InitialNamesAccepted" : "NotAccepted",
            accepted ? "the initial names have been accepted" : "not all names are accepted");
        if (accepted) status["acceptedNames"] = ObjectAt(*before, {"spec", "names"});
        json::array stored = ArrayAt(status, {"storedVersions"});
        for (const json::value& version : ArrayAt(*before, {"spec", "versions"})) {
          const json::value* of = Find(version, {"name"});
          if (of != nullptr && BoolAt(version, {"storage"}) &&
              std::find(stored.begin(), stored.end(), *of) == stored.end()) {
            stored.push_back(*of);
          }
        }
        status["storedVersions"] = std::move(stored);
        return plan;
      },
      [name](absl::StatusOr<Written> written) {
        if (!written.ok()) {
          base::Log().warn("the status of a definition is not written name={} reason={}", name,
                           base::ToStd(written.status().message()));
        }
      });
}

void CustomResources::CleanUp(const std::string& name) {
  ServerContext& context = objects_.context();
  auto found = taken_.find(name);
  if (found == taken_.end()) return Finalize(name);
  const std::string resource = base::StrCat(found->second.plural, ".", found->second.group);
  std::vector<CachedObjectPtr> left;
  context.cache.Resource(resource).ForEach("", "", "", [&left](const CachedObjectPtr& object) {
    left.push_back(object);
    return left.size() < 1000;
  });
  if (left.empty()) return Finalize(name);
  KindPtr kind;
  for (const auto& known : context.kinds.All()) {
    if (known->resource() == resource) kind = known;
  }
  if (kind == nullptr) return Finalize(name);
  for (const CachedObjectPtr& object : left) {
    objects_.writer().Write(
        {.resource = resource, .ns = object->ns, .name = object->name},
        [kind](const json::object* before) -> absl::StatusOr<WritePlan> {
          if (before == nullptr) return WritePlan{.what = WritePlan::What::kNothing};
          WritePlan plan{.object = *before};
          MarkDeleted(*kind, {}, absl::Now(), plan.object);
          if (GoesNow(*kind, plan.object)) plan.what = WritePlan::What::kDelete;
          return plan;
        },
        [](absl::StatusOr<Written>) {});
  }
  context.loop.After(std::chrono::milliseconds(200), [this, alive = alive_, name] {
    if (*alive) CleanUp(name);
  });
}

void CustomResources::Finalize(const std::string& name) {
  objects_.writer().Write(
      {.resource = std::string(kDefinitions), .name = name},
      [](const json::object* before) -> absl::StatusOr<WritePlan> {
        if (before == nullptr) return WritePlan{.what = WritePlan::What::kNothing};
        WritePlan plan{.object = *before};
        json::array kept;
        for (const json::value& finalizer : ArrayAt(*before, {"metadata", "finalizers"})) {
          if (!finalizer.is_string() || View(finalizer.get_string()) != kCleanup) {
            kept.push_back(finalizer);
          }
        }
        const bool gone = kept.empty();
        plan.object["metadata"].as_object()["finalizers"] = std::move(kept);
        if (gone) plan.what = WritePlan::What::kDelete;
        return plan;
      },
      [](absl::StatusOr<Written>) {});
}

}  // namespace keel::orchestrator
