#include <set>

#include "absl/strings/ascii.h"
#include "base/strings.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/api/schema.h"
#include "orchestrator/kinds/common/columns.h"
#include "orchestrator/kinds/common/prepare.h"
#include "orchestrator/kinds/common/spec_checks.h"

namespace keel::orchestrator {
namespace {

void SetDefaults(json::object& object) {
  json::object* names = ObjectIn(object, {"spec", "names"});
  if (names != nullptr) {
    const std::string kind(StringAt(*names, {"kind"}));
    if (StringAt(*names, {"singular"}).empty()) {
      (*names)["singular"] = absl::AsciiStrToLower(kind);
    }
    if (StringAt(*names, {"listKind"}).empty() && !kind.empty()) {
      (*names)["listKind"] = kind + "List";
    }
  }
  if (json::object* spec = ObjectIn(object, {"spec"})) {
    SetDefault(*spec, "conversion", json::object{{"strategy", "None"}});
  }
}

std::string_view StorageVersion(const json::object& object) {
  for (const json::value& version : ArrayAt(object, {"spec", "versions"})) {
    if (BoolAt(version, {"storage"})) return StringAt(version, {"name"});
  }
  return {};
}

// Versions in which objects were ever stored are remembered.
void Prepare(json::object& object, const json::object* before) {
  ResetStatus(object, before, {{"conditions", json::array()}, {"storedVersions", json::array()}});
  const std::string_view storage = StorageVersion(object);
  json::value& stored = *Ensure(object, {"status", "storedVersions"});
  if (!stored.is_array()) stored = json::array();
  for (const json::value& one : stored.get_array()) {
    if (one == json::value(storage)) return;
  }
  if (!storage.empty()) stored.get_array().push_back(json::value(storage));
}

void CheckNames(const json::object& object, FieldErrors& errors) {
  const std::string_view group = StringAt(object, {"spec", "group"});
  const std::string_view plural = StringAt(object, {"spec", "names", "plural"});
  if (RequireText(object.at("spec"), "group", "spec", errors)) {
    AddComplaints(CheckDns1123Subdomain(group), "spec.group", json::value(group), errors);
    if (group.find('.') == std::string_view::npos) {
      errors.InvalidValue("spec.group", json::value(group),
                          "should be a domain with at least one dot");
    }
  }
  const std::string wanted = base::StrCat(plural, ".", group);
  if (NameOf(object) != wanted) {
    errors.InvalidValue("metadata.name", json::value(NameOf(object)),
                        "must be spec.names.plural+\".\"+spec.group");
  }
  for (const char* member : {"plural", "singular", "kind", "listKind"}) {
    const std::string text =
        absl::AsciiStrToLower(base::ToAbsl(StringAt(object, {"spec", "names", member})));
    const std::string field = base::StrCat("spec.names.", member);
    if (text.empty()) {
      errors.Required(field, "");
    } else {
      AddComplaints(CheckDns1035Label(text), field,
                    json::value(StringAt(object, {"spec", "names", member})), errors);
    }
  }
}

void Check(const json::object& object, FieldErrors& errors) {
  if (Find(object, {"spec"}) == nullptr) return;
  CheckNames(object, errors);
  const json::array& versions = ArrayAt(object, {"spec", "versions"});
  std::set<std::string_view> names;
  size_t storage = 0;
  size_t served = 0;
  for (size_t i = 0; i < versions.size(); ++i) {
    const std::string field = base::StrCat("spec.versions[", i, "]");
    const std::string_view name = StringAt(versions[i], {"name"});
    AddComplaints(CheckDns1035Label(name), field + ".name", json::value(name), errors);
    if (!names.insert(name).second) {
      errors.InvalidValue("spec.versions", versions, "must contain unique version names");
    }
    storage += BoolAt(versions[i], {"storage"}) ? 1 : 0;
    served += BoolAt(versions[i], {"served"}) ? 1 : 0;
    const json::value* schema = Find(versions[i], {"schema", "openAPIV3Schema"});
    if (schema == nullptr) {
      errors.Required(field + ".schema.openAPIV3Schema", "schemas are required");
    } else if (schema->is_object()) {
      // For what is wrong with it; the kind's own is made when it is served.
      SchemaFromOpenApi(schema->get_object(), field + ".schema.openAPIV3Schema", errors);
    }
    size_t k = 0;
    for (const json::value& column : ArrayAt(versions[i], {"additionalPrinterColumns"})) {
      const std::string inner = base::StrCat(field, ".additionalPrinterColumns[", k++, "]");
      RequireText(column, "name", inner, errors);
      RequireText(column, "jsonPath", inner, errors);
      const std::string_view type = StringAt(column, {"type"});
      if (type != "string" && type != "integer" && type != "number" && type != "boolean" &&
          type != "date") {
        errors.NotSupported(inner + ".type", json::value(type),
                            {"boolean", "date", "integer", "number", "string"});
      }
    }
  }
  if (storage != 1) {
    errors.InvalidValue("spec.versions", versions,
                        "must have exactly one version marked as storage version");
  }
  if (served == 0 && !versions.empty()) {
    errors.InvalidValue("spec.versions", versions, "must have at least one version served");
  }
  const std::string_view strategy = StringAt(object, {"spec", "conversion", "strategy"});
  if (strategy == "Webhook") {
    errors.NotSupported("spec.conversion.strategy", json::value(strategy), {"None"});
  }
}

void CheckUpdate(const json::object& object, const json::object& before, FieldErrors& errors) {
  for (const JsonPath path : {JsonPath{"spec", "group"}, JsonPath{"spec", "names", "plural"},
                              JsonPath{"spec", "scope"}, JsonPath{"spec", "names", "kind"}}) {
    if (StringAt(object, path) == StringAt(before, path)) continue;
    std::string field;
    for (std::string_view part : path) field += (field.empty() ? "" : ".") + std::string(part);
    errors.InvalidValue(field, json::value(StringAt(object, path)), kImmutable);
  }
  size_t i = 0;
  for (const json::value& stored : ArrayAt(before, {"status", "storedVersions"})) {
    bool there = false;
    for (const json::value& version : ArrayAt(object, {"spec", "versions"})) {
      there = there || *Find(version, {"name"}) == stored;
    }
    if (!there) {
      errors.InvalidValue(base::StrCat("status.storedVersions[", i, "]"), stored,
                          "missing from spec.versions; " + std::string(View(stored.as_string())) +
                              " was previously a storage version, and must remain in "
                              "spec.versions until a storage migration ensures no data remains "
                              "persisted in " +
                              std::string(View(stored.as_string())) +
                              " and removes it from "
                              "status.storedVersions");
    }
    ++i;
  }
}

}  // namespace

Kind CustomResourceDefinitionKind() {
  return {
      .group = "apiextensions.k8s.io",
      .version = "v1",
      .kind = "CustomResourceDefinition",
      .plural = "customresourcedefinitions",
      .short_names = {"crd", "crds"},
      .categories = {"api-extensions"},
      .namespaced = false,
      .types = R"(
# A kind of object that users add to the API server.
CustomResourceDefinition {
  spec!   CustomResourceDefinitionSpec    -- The kind.
  status  CustomResourceDefinitionStatus  -- Whether it is served.
}
# The kind that is added.
CustomResourceDefinitionSpec {
  group!                 string                          -- Its group.
  names!                 CustomResourceDefinitionNames   -- Its names.
  scope!                 string enum(Cluster, Namespaced) -- Whether objects are in namespaces.
  versions!              [CustomResourceDefinitionVersion] atomic -- Its versions.
  conversion             CustomResourceConversion        -- How versions become one another.
  preserveUnknownFields  bool                            -- Deprecated: keep fields that no schema knows.
}
# The names of a kind.
CustomResourceDefinitionNames {
  plural!     string           -- In paths.
  singular    string           -- For one object.
  shortNames  [string] atomic  -- Short ones for the command line.
  kind!       string           -- Of the kind.
  listKind    string           -- Of lists.
  categories  [string] atomic  -- Groups of kinds such as all.
}
# A version of a kind.
CustomResourceDefinitionVersion {
  name!                     string                    -- Its name.
  served!                   bool                      -- Whether it is served.
  storage!                  bool                      -- Whether objects are stored in it; one is.
  deprecated                bool                      -- Whether to warn of it.
  deprecationWarning        string                    -- The warning.
  schema                    CustomResourceValidation  -- Its schema.
  subresources              CustomResourceSubresources -- Its subresources.
  additionalPrinterColumns  [CustomResourceColumnDefinition] atomic -- Columns of tables.
  selectableFields          [SelectableField] atomic  -- Fields that selectors may name.
}
# The schema of a version.
CustomResourceValidation {
  openAPIV3Schema  any  -- As OpenAPI v3.
}
# The subresources of a version.
CustomResourceSubresources {
  status  any                             -- Status has a resource of its own.
  scale   CustomResourceSubresourceScale  -- It can be scaled.
}
# Where scale reads and writes.
CustomResourceSubresourceScale {
  specReplicasPath!    string  -- The wanted number.
  statusReplicasPath!  string  -- The counted number.
  labelSelectorPath    string  -- The selector as text.
}
# A column of tables.
CustomResourceColumnDefinition {
  name!        string  -- Its heading.
  type!        string  -- Its type.
  format       string  -- Its format.
  description  string  -- What it shows.
  priority     int32   -- Above 0: only with wide output.
  jsonPath!    string  -- Where its value is.
}
# A field that selectors may name.
SelectableField {
  jsonPath!  string  -- Where it is.
}
# How versions become one another.
CustomResourceConversion {
  strategy!  string enum(None, Webhook) -- None: only apiVersion changes.
  webhook    any                        -- Not served by Keel.
}
# Whether a kind is served.
CustomResourceDefinitionStatus {
  conditions          [CustomResourceDefinitionCondition] key(type) dups -- Aspects of its state.
  acceptedNames       CustomResourceDefinitionNames                 -- The names that it has got.
  storedVersions      [string] atomic                               -- Versions in which objects were ever stored.
  observedGeneration  int64                                         -- The generation that the status is about.
}
# One aspect of a CustomResourceDefinition's state.
CustomResourceDefinitionCondition {
  type!               string         -- Which aspect.
  status!             string         -- True, False or Unknown.
  lastTransitionTime  time nullable  -- When the status last changed.
  reason              string         -- Why, as one word for programs.
  message             string         -- Why, for people.
  observedGeneration  int64          -- The generation that it is about.
}
)",
      .columns = {TextColumn("Created At", {"metadata", "creationTimestamp"})},
      .has_status = true,
      .has_generation = true,
      .can_update_without_version = false,
      .set_defaults = SetDefaults,
      .prepare = Prepare,
      .check = Check,
      .check_update = CheckUpdate,
  };
}

}  // namespace keel::orchestrator
