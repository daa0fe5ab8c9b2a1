#include "orchestrator/api/kind.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/ascii.h"
#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

// Groups in the order in which discovery lists them; all others follow by name.
int GroupRank(std::string_view group) {
  constexpr std::string_view kOrder[] = {"",
                                         "apiregistration.k8s.io",
                                         "events.k8s.io",
                                         "authentication.k8s.io",
                                         "authorization.k8s.io",
                                         "autoscaling",
                                         "apps",
                                         "batch",
                                         "certificates.k8s.io",
                                         "networking.k8s.io",
                                         "policy",
                                         "rbac.authorization.k8s.io",
                                         "storage.k8s.io",
                                         "admissionregistration.k8s.io",
                                         "apiextensions.k8s.io",
                                         "scheduling.k8s.io",
                                         "coordination.k8s.io",
                                         "node.k8s.io",
                                         "discovery.k8s.io"};
  const auto* found = std::find(std::begin(kOrder), std::end(kOrder), group);
  return static_cast<int>(found - std::begin(kOrder));
}

// Kubernetes' order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then all else by name.
std::tuple<int, int, int> VersionRank(std::string_view version) {
  const std::tuple<int, int, int> none(3, 0, 0);
  if (version.size() < 2 || version[0] != 'v') return none;
  size_t at = 1;
  auto number = [&]() {
    int n = 0;
    while (at < version.size() && absl::ascii_isdigit(version[at]) && n < 1'000'000) {
      n = n * 10 + (version[at++] - '0');
    }
    return n;
  };
  const int major = number();
  if (at == 1) return none;
  if (at == version.size()) return {0, -major, 0};
  const std::string_view rest = version.substr(at);
  const int stage = rest.starts_with("beta") ? 1 : rest.starts_with("alpha") ? 2 : 3;
  if (stage == 3) return none;
  at += stage == 1 ? 4 : 5;
  const size_t digits = at;
  const int minor = number();
  if (at == digits || at != version.size()) return none;
  return {stage, -major, -minor};
}

bool ListedBefore(const std::shared_ptr<const Kind>& a, const std::shared_ptr<const Kind>& b) {
  const auto key = [](const Kind& kind) {
    return std::tuple<int, std::string_view, std::tuple<int, int, int>, std::string_view,
                      std::string_view>(GroupRank(kind.group), kind.group,
                                        VersionRank(kind.version), kind.version, kind.plural);
  };
  return key(*a) < key(*b);
}

constexpr char kTopFields[] = R"(
    apiVersion  string      -- The group and version of this object's schema.
    kind        string      -- The kind of the object, as the API names it.
    metadata    ObjectMeta  -- Name, namespace, labels and what else all objects have.
)";

// Where the type of that name opens in a schema's text: just behind its brace; npos if nowhere.
size_t OpeningOf(std::string_view types, std::string_view name) {
  for (size_t at = types.find(name); at != std::string_view::npos; at = types.find(name, at + 1)) {
    size_t line = at;
    while (line > 0 && (types[line - 1] == ' ' || types[line - 1] == '\t')) --line;
    if (line > 0 && types[line - 1] != '\n') continue;
    size_t brace = at + name.size();
    while (brace < types.size() && types[brace] == ' ') ++brace;
    if (brace < types.size() && types[brace] == '{') return brace + 1;
  }
  return std::string_view::npos;
}

// An own schema with the fields of every object; what it is made of stays alive beside it.
std::shared_ptr<const Schema> WithTopFields(std::shared_ptr<const Schema> own,
                                            const Schema* object_meta, const Schema* text) {
  struct Whole {
    std::shared_ptr<const Schema> own;
    Schema schema;
  };
  auto whole = std::make_shared<Whole>();
  whole->own = std::move(own);
  whole->schema = *whole->own;
  auto& fields = whole->schema.fields;
  std::erase_if(fields, [](const Field& f) {
    return f.name == "apiVersion" || f.name == "kind" || f.name == "metadata";
  });
  const Field top[] = {
      {.name = "apiVersion",
       .description = "The group and version of this object's schema.",
       .schema = text},
      {.name = "kind",
       .description = "The kind of the object, as the API names it.",
       .schema = text},
      {.name = "metadata",
       .description = "Name, namespace, labels and what else all objects have.",
       .schema = object_meta},
  };
  fields.insert(fields.begin(), std::begin(top), std::end(top));
  const Schema* schema = &whole->schema;
  return std::shared_ptr<const Schema>(std::move(whole), schema);
}

void FillNames(Kind& kind) {
  if (kind.singular.empty()) kind.singular = absl::AsciiStrToLower(kind.kind);
  if (kind.list_kind.empty()) kind.list_kind = kind.kind + "List";
  if (kind.columns.empty()) kind.columns = {AgeColumn()};
}

}  // namespace

KindRegistry::KindRegistry() : types_(std::make_unique<TypeRegistry>()) {}

absl::StatusOr<std::unique_ptr<KindRegistry>> KindRegistry::Create(
    std::vector<Kind> kinds, const std::vector<std::string>& common_types) {
  std::unique_ptr<KindRegistry> registry(new KindRegistry());
  for (const std::string& text : common_types) {
    KEEL_RETURN_IF_ERROR(registry->types_->Add(text));
  }
  std::vector<std::string> type_names;
  for (Kind& kind : kinds) {
    const std::string of = base::StrCat(kind.kind, " of ", kind.api_version());
    std::string version = kind.version;
    if (!version.empty()) version[0] = absl::ascii_toupper(version[0]);
    std::string name = kind.kind;
    size_t opening = OpeningOf(kind.types, name);
    if (opening == std::string::npos) {
      name += version;
      opening = OpeningOf(kind.types, name);
    }
    if (opening == std::string::npos) {
      return absl::InvalidArgumentError(base::StrCat(of, ": its types name no ", kind.kind));
    }
    std::string text = kind.types;
    text.insert(opening, kTopFields);
    if (absl::Status added = registry->types_->Add(text); !added.ok()) {
      return absl::InvalidArgumentError(base::StrCat(of, ": ", base::ToStd(added.message())));
    }
    type_names.push_back(std::move(name));
  }
  KEEL_RETURN_IF_ERROR(registry->types_->Resolve());
  for (size_t i = 0; i < kinds.size(); ++i) {
    Kind& kind = kinds[i];
    const Schema* schema = registry->types_->FindType(type_names[i]);
    KEEL_CHECK(schema != nullptr);
    // The types outlive all kinds that the registry gave out only with the registry itself.
    kind.own_schema = std::shared_ptr<const Schema>(std::shared_ptr<const Schema>(), schema);
    FillNames(kind);
    if (registry->FindByKind(kind.group, kind.version, kind.kind) != nullptr) {
      return absl::InvalidArgumentError(
          base::StrCat(kind.kind, " of ", kind.api_version(), ": described twice"));
    }
    registry->kinds_.push_back(std::make_shared<const Kind>(std::move(kind)));
  }
  std::sort(registry->kinds_.begin(), registry->kinds_.end(), ListedBefore);
  for (const auto& kind : registry->kinds_) {
    if (registry->Stored(*kind) == nullptr) {
      return absl::InvalidArgumentError(
          base::StrCat(kind->kind, ": there is no stored version ", kind->stored_version));
    }
  }
  return registry;
}

std::shared_ptr<const Kind> KindRegistry::FindByResource(std::string_view group,
                                                         std::string_view version,
                                                         std::string_view plural) const {
  for (const auto& kind : kinds_) {
    if (kind->plural == plural && kind->group == group && kind->version == version) return kind;
  }
  return nullptr;
}

std::shared_ptr<const Kind> KindRegistry::FindByKind(std::string_view group,
                                                     std::string_view version,
                                                     std::string_view name) const {
  for (const auto& kind : kinds_) {
    if (kind->kind == name && kind->group == group && kind->version == version) return kind;
  }
  return nullptr;
}

std::shared_ptr<const Kind> KindRegistry::Stored(const Kind& kind) const {
  const std::string& version = kind.stored_version.empty() ? kind.version : kind.stored_version;
  return FindByResource(kind.stored_group.value_or(kind.group), version, kind.plural);
}

std::vector<std::shared_ptr<const Kind>> KindRegistry::All() const { return kinds_; }

const Schema& KindRegistry::SchemaOf(const Kind& kind) const {
  KEEL_CHECK(kind.own_schema != nullptr);
  return *kind.own_schema;
}

void KindRegistry::Add(Kind kind) {
  KEEL_CHECK(kind.own_schema != nullptr);
  const Schema* meta = types_->FindType("ObjectMeta");
  KEEL_CHECK(meta != nullptr);
  const Field* name = meta->FindField("name");
  KEEL_CHECK(name != nullptr);
  kind.own_schema = WithTopFields(std::move(kind.own_schema), meta, name->schema);
  FillNames(kind);
  std::erase_if(kinds_, [&](const auto& old) {
    return old->plural == kind.plural && old->group == kind.group && old->version == kind.version;
  });
  auto added = std::make_shared<const Kind>(std::move(kind));
  kinds_.insert(std::upper_bound(kinds_.begin(), kinds_.end(), added, ListedBefore), added);
  ++generation_;
}

void KindRegistry::RemoveGroupResource(std::string_view group, std::string_view plural) {
  const size_t removed = std::erase_if(
      kinds_, [&](const auto& old) { return old->plural == plural && old->group == group; });
  if (removed > 0) ++generation_;
}

}  // namespace keel::orchestrator
