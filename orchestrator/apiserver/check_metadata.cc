// The rules for metadata that all kinds share.
#include "base/strings.h"
#include "orchestrator/api/names.h"
#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

namespace {

constexpr size_t kMaxAnnotationsBytes = 256 * 1024;

Complaints CheckName(Kind::NameRule rule, std::string_view name) {
  switch (rule) {
    case Kind::NameRule::kLabel:
      return CheckDns1123Label(name);
    case Kind::NameRule::kLabel1035:
      return CheckDns1035Label(name);
    case Kind::NameRule::kPathSegment:
      return CheckPathSegment(name);
    case Kind::NameRule::kSubdomain:
      break;
  }
  return CheckDns1123Subdomain(name);
}

void Complain(std::string_view field, const json::value& value, const Complaints& complaints,
              FieldErrors& errors) {
  for (const std::string& complaint : complaints) errors.InvalidValue(field, value, complaint);
}

void CheckMap(const json::object& metadata, const char* name, bool values, FieldErrors& errors) {
  const std::string field = base::StrCat("metadata.", name);
  size_t bytes = 0;
  for (const auto& [key, value] : ObjectAt(metadata, {name})) {
    const std::string_view key_view(key.data(), key.size());
    Complain(field, json::value(key), CheckQualifiedName(key_view), errors);
    const json::string* text = value.if_string();
    if (text == nullptr) continue;  // the schema's check says so
    bytes += key.size() + text->size();
    if (values) Complain(field, value, CheckLabelValue(View(*text)), errors);
  }
  if (!values && bytes > kMaxAnnotationsBytes) errors.TooLong(field, kMaxAnnotationsBytes);
}

void CheckOwners(const json::object& metadata, FieldErrors& errors) {
  int controllers = 0;
  size_t index = 0;
  for (const json::value& owner : ArrayAt(metadata, {"ownerReferences"})) {
    const std::string field = base::StrCat("metadata.ownerReferences[", index++, "]");
    for (const char* name : {"apiVersion", "kind", "name", "uid"}) {
      if (StringAt(owner, {name}).empty()) {
        errors.Required(base::StrCat(field, ".", name), "must not be empty");
      }
    }
    controllers += BoolAt(owner, {"controller"}) ? 1 : 0;
  }
  if (controllers > 1) {
    errors.InvalidValue("metadata.ownerReferences", ArrayAt(metadata, {"ownerReferences"}),
                        "Only one reference can have Controller set to true");
  }
}

}  // namespace

void CheckMetadata(const Kind& kind, const json::object& object, FieldErrors& errors) {
  const json::object& metadata = ObjectAt(object, {"metadata"});
  const std::string_view name = StringAt(metadata, {"name"});
  if (name.empty()) {
    errors.Required("metadata.name", "name or generateName is required");
  } else {
    Complain("metadata.name", json::value(json::string_view(name.data(), name.size())),
             CheckName(kind.name_rule, name), errors);
  }
  CheckMap(metadata, "labels", true, errors);
  CheckMap(metadata, "annotations", false, errors);
  CheckOwners(metadata, errors);
  for (const json::value& finalizer : ArrayAt(metadata, {"finalizers"})) {
    const json::string* text = finalizer.if_string();
    if (text != nullptr) {
      Complain("metadata.finalizers", finalizer, CheckQualifiedName(View(*text)), errors);
    }
  }
}

}  // namespace keel::orchestrator
