#include "orchestrator/api/meta.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

constexpr size_t kMaxAnnotationBytes = 256 * 1024;

std::string_view TextOf(const json::value& value) {
  const json::string* text = value.if_string();
  return text == nullptr ? std::string_view() : View(*text);
}

void CheckOwners(const json::object& metadata, FieldErrors& errors) {
  size_t i = 0;
  const json::value* controller = nullptr;
  for (const json::value& owner : ArrayAt(metadata, {"ownerReferences"})) {
    const std::string field = base::StrCat("metadata.ownerReferences[", i++, "]");
    const std::string_view version = StringAt(owner, {"apiVersion"});
    if (version.empty() || version.ends_with('/')) {
      errors.InvalidValue(field + ".apiVersion", json::value(version), "version must not be empty");
    }
    for (std::string_view member : {"kind", "name", "uid"}) {
      if (StringAt(owner, {member}).empty()) {
        errors.InvalidValue(base::StrCat(field, ".", member), "",
                            base::StrCat(member, " must not be empty"));
      }
    }
    if (StringAt(owner, {"kind"}) == "Event" &&
        (version == "v1" || version == "events.k8s.io/v1")) {
      errors.InvalidValue("metadata.ownerReferences", owner,
                          base::StrCat(version, ", Kind=Event is disallowed from being an owner"));
    }
    if (!BoolAt(owner, {"controller"})) continue;
    if (controller != nullptr) {
      errors.InvalidValue(
          "metadata.ownerReferences", metadata.at("ownerReferences"),
          base::StrCat("Only one reference can have Controller set to true. Found "
                       "\"true\" in references for ",
                       StringAt(*controller, {"name"}), " and ", StringAt(owner, {"name"})));
    } else {
      controller = &owner;
    }
  }
}

void CheckFinalizers(const json::object& metadata, FieldErrors& errors) {
  size_t i = 0;
  bool orphan = false;
  bool foreground = false;
  for (const json::value& finalizer : ArrayAt(metadata, {"finalizers"})) {
    const std::string field = base::StrCat("metadata.finalizers[", i++, "]");
    const std::string_view name = TextOf(finalizer);
    for (const std::string& wrong : CheckQualifiedName(name)) {
      errors.InvalidValue(field, finalizer, wrong);
    }
    orphan = orphan || name == "orphan";
    foreground = foreground || name == "foregroundDeletion";
  }
  if (orphan && foreground) {
    errors.InvalidValue("metadata.finalizers", metadata.at("finalizers"),
                        "finalizer orphan and foregroundDeletion cannot be both set");
  }
}

void CheckCommon(const json::object& metadata, FieldErrors& errors) {
  const json::value* generation = metadata.if_contains("generation");
  if (generation != nullptr && generation->is_int64() && generation->get_int64() < 0) {
    errors.InvalidValue("metadata.generation", *generation, kNotNegative);
  }
  CheckLabels(ObjectAt(metadata, {"labels"}), "metadata.labels", errors);
  CheckAnnotations(ObjectAt(metadata, {"annotations"}), "metadata.annotations", errors);
  CheckOwners(metadata, errors);
  CheckFinalizers(metadata, errors);
}

}  // namespace

const json::object* ControllerOf(const json::object& object) {
  for (const json::value& owner : ArrayAt(object, {"metadata", "ownerReferences"})) {
    if (BoolAt(owner, {"controller"})) return owner.if_object();
  }
  return nullptr;
}

Complaints CheckName(Kind::NameRule rule, std::string_view name, bool generated_prefix) {
  // Letters will follow the dash of a prefix.
  std::string whole(name);
  if (generated_prefix && whole.size() > 1 && whole.ends_with('-')) whole.back() = 'a';
  switch (rule) {
    case Kind::NameRule::kLabel:
      return CheckDns1123Label(whole);
    case Kind::NameRule::kLabel1035:
      return CheckDns1035Label(whole);
    case Kind::NameRule::kPathSegment:
      return CheckPathSegment(name);
    case Kind::NameRule::kSubdomain:
      break;
  }
  return CheckDns1123Subdomain(whole);
}

void CheckObjectMeta(const Kind& kind, const json::object& object, FieldErrors& errors) {
  const json::object& metadata = ObjectAt(object, {"metadata"});
  const std::string_view prefix = StringAt(metadata, {"generateName"});
  if (!prefix.empty()) {
    for (const std::string& wrong : CheckName(kind.name_rule, prefix, true)) {
      errors.InvalidValue("metadata.generateName", json::value(prefix), wrong);
    }
  }
  const std::string_view name = StringAt(metadata, {"name"});
  if (name.empty()) {
    errors.Required("metadata.name", "name or generateName is required");
  } else {
    for (const std::string& wrong : CheckName(kind.name_rule, name)) {
      errors.InvalidValue("metadata.name", json::value(name), wrong);
    }
  }
  const std::string_view ns = StringAt(metadata, {"namespace"});
  if (!kind.namespaced) {
    if (!ns.empty()) errors.Forbidden("metadata.namespace", "not allowed on this type");
  } else if (ns.empty()) {
    errors.Required("metadata.namespace", "");
  } else {
    for (const std::string& wrong : CheckDns1123Label(ns)) {
      errors.InvalidValue("metadata.namespace", json::value(ns), wrong);
    }
  }
  CheckCommon(metadata, errors);
}

void CheckObjectMetaUpdate(const Kind& kind, const json::object& object, const json::object& before,
                           FieldErrors& errors) {
  const json::object& now = ObjectAt(object, {"metadata"});
  const json::object& was = ObjectAt(before, {"metadata"});
  if (IsBeingDeleted(before)) {
    json::array added;
    const json::array& old = ArrayAt(was, {"finalizers"});
    for (const json::value& finalizer : ArrayAt(now, {"finalizers"})) {
      if (std::find(old.begin(), old.end(), finalizer) == old.end()) added.push_back(finalizer);
    }
    if (!added.empty()) {
      std::string list;
      for (const json::value& one : added) list += (list.empty() ? "" : ", ") + ToJson(one);
      errors.Forbidden("metadata.finalizers",
                       base::StrCat("no new finalizers can be added if the object is being "
                                    "deleted, found new finalizers []string{",
                                    list, "}"));
    }
  }
  if (IntAt(now, {"generation"}) < IntAt(was, {"generation"})) {
    errors.InvalidValue("metadata.generation", IntAt(now, {"generation"}),
                        "must not be decremented");
  }
  for (std::string_view member : {"name", "namespace", "uid", "creationTimestamp",
                                  "deletionTimestamp", "deletionGracePeriodSeconds"}) {
    const json::value* a = Find(now, {member});
    const json::value* b = Find(was, {member});
    const bool none_a = a == nullptr || a->is_null();
    const bool none_b = b == nullptr || b->is_null();
    if (none_a != none_b || (!none_a && *a != *b)) {
      errors.InvalidValue(base::StrCat("metadata.", member), none_a ? json::value() : *a,
                          kImmutable);
    }
  }
  CheckCommon(now, errors);
}

void CheckLabels(const json::object& labels, std::string_view path, FieldErrors& errors) {
  for (const auto& [key, value] : labels) {
    for (const std::string& wrong : CheckQualifiedName(key)) {
      errors.InvalidValue(path, json::value(key), wrong);
    }
    for (const std::string& wrong : CheckLabelValue(TextOf(value))) {
      errors.InvalidValue(path, value, wrong);
    }
  }
}

void CheckAnnotations(const json::object& annotations, std::string_view path, FieldErrors& errors) {
  size_t total = 0;
  for (const auto& [key, value] : annotations) {
    // Keys may have upper case letters in their prefix.
    const std::string lower = absl::AsciiStrToLower(absl::string_view(key.data(), key.size()));
    for (const std::string& wrong : CheckQualifiedName(lower)) {
      errors.InvalidValue(path, json::value(key), wrong);
    }
    total += key.size() + TextOf(value).size();
  }
  if (total > kMaxAnnotationBytes) errors.TooLong(path, kMaxAnnotationBytes);
}

}  // namespace keel::orchestrator
