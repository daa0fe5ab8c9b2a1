// What becomes of an object between the client and the store: defaults, the cluster's rules, the
// kind's own, and the checks.
#include <sys/random.h>

#include <cstdio>

#include "absl/time/clock.h"
#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/managed_fields.h"
#include "orchestrator/api/meta.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

namespace {

uint64_t RandomBits() {
  uint64_t bits = 0;
  KEEL_CHECK(getrandom(&bits, sizeof bits, 0) == sizeof bits);
  return bits;
}

// Whether anything but metadata and status differs.
bool SpecChanged(const json::object& now, const json::object& before) {
  auto counts = [](const json::object& object) {
    size_t count = 0;
    for (const auto& [name, value] : object) count += name != "metadata" && name != "status";
    return count;
  };
  for (const auto& [name, value] : now) {
    if (name == "metadata" || name == "status") continue;
    const json::value* was = before.if_contains(name);
    if (was == nullptr || *was != value) return true;
  }
  return counts(now) != counts(before);
}

// What the server alone decides of an object's metadata.
void KeepServersMetadata(json::object& metadata, const json::object& before) {
  for (const char* field : {"uid", "creationTimestamp", "deletionTimestamp",
                            "deletionGracePeriodSeconds", "generation", "name", "namespace"}) {
    const json::value* was = before.if_contains(field);
    if (was != nullptr) {
      metadata[field] = *was;
    } else {
      metadata.erase(field);
    }
  }
}

}  // namespace

std::string RandomSuffix() {
  static constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  uint64_t bits = RandomBits();
  std::string out;
  for (int i = 0; i < 5; ++i) {
    out += kLetters[bits % kLetters.size()];
    bits /= kLetters.size();
  }
  return out;
}

std::string RandomUid() {
  const uint64_t high = (RandomBits() & ~0xf000ULL) | 0x4000ULL;
  const uint64_t low = (RandomBits() & ~(3ULL << 62)) | (2ULL << 62);
  char text[40];
  std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16 & 0xffff), static_cast<unsigned>(high & 0xffff),
                static_cast<unsigned>(low >> 48),
                static_cast<unsigned long long>(low & 0xffffffffffffULL));  // NOLINT: %llx
  return text;
}

WriteTarget ObjectApi::TargetOf(const Request& request, const Kind& kind, bool dry_run) const {
  return {.resource = kind.stored_resource(),
          .ns = request.info.ns,
          .name = request.info.name,
          .create = false,
          .dry_run = dry_run};
}

absl::Status ObjectApi::Admit(Request& request, const KindPtr& kind, bool dry_run,
                              json::object& object, const json::object* before, WritePlan& plan) {
  const Schema& schema = context_.kinds.SchemaOf(*kind);
  const bool status_only = request.info.subresource == "status";
  json::object& metadata = object["metadata"].as_object();
  if (before != nullptr) {
    KeepServersMetadata(metadata, ObjectAt(*before, {"metadata"}));
    if (status_only) {
      json::value status = object.contains("status") ? object["status"] : json::value();
      json::value managed =
          metadata.contains("managedFields") ? metadata["managedFields"] : json::value();
      json::object kept = *before;
      json::object& kept_metadata = kept["metadata"].as_object();
      for (const char* field : {"labels", "annotations"}) {
        if (metadata.contains(field)) kept_metadata[field] = metadata[field];
      }
      if (!managed.is_null()) kept_metadata["managedFields"] = std::move(managed);
      if (status.is_null()) {
        kept.erase("status");
      } else {
        kept["status"] = std::move(status);
      }
      object = std::move(kept);
    } else if (kind->has_status) {
      if (const json::value* status = before->if_contains("status")) {
        object["status"] = *status;
      } else {
        object.erase("status");
      }
    }
  } else if (kind->has_status && !kind->keeps_status_on_create) {
    object.erase("status");
  }

  json::value value = std::move(object);
  ApplyDefaults(schema, value);
  object = std::move(value.as_object());
  if (kind->set_defaults) kind->set_defaults(object);

  AdmissionRequest admission{.attributes = request.info.AttributesFor(request.user),
                             .kind = kind,
                             .dry_run = dry_run,
                             .object = &object,
                             .before = before};
  admission.attributes.verb = before == nullptr ? "create" : "update";
  if (admission.attributes.name.empty()) {
    admission.attributes.name = std::string(StringAt(object, {"metadata", "name"}));
  }
  if (context_.admission != nullptr) {
    KEEL_RETURN_IF_ERROR(context_.admission->Mutate(admission));
  }
  if (kind->prepare && !status_only) kind->prepare(object, before);

  FieldErrors errors;
  CheckSchema(schema, object, "", errors);
  // To Kubernetes an object with a field of another type is no object of that kind at all. (Those
  // of CustomResourceDefinitions are checked by their schemas alone, and are merely invalid.)
  if (!kind->types.empty()) {
    for (const FieldErrors::Cause& cause : errors.causes()) {
      if (cause.reason != "FieldValueTypeInvalid") continue;
      return BadRequest(base::StrCat(kind->kind, " in version \"", kind->version,
                                     "\" cannot be handled as a ", kind->kind, ": ", cause.field,
                                     ": ", cause.message));
    }
  }
  if (before == nullptr) {
    CheckObjectMeta(*kind, object, errors);
  } else {
    CheckObjectMetaUpdate(*kind, object, *before, errors);
    CheckImmutable(schema, object, *before, "", errors);
  }
  if (errors.empty()) {
    if (kind->check) kind->check(object, errors);
    if (before == nullptr && kind->check_create) kind->check_create(object, errors);
    if (before != nullptr && kind->check_update) kind->check_update(object, *before, errors);
  }
  if (!errors.empty()) {
    return Invalid(kind->group, kind->kind, StringAt(object, {"metadata", "name"}), errors);
  }
  if (context_.admission != nullptr) {
    KEEL_RETURN_IF_ERROR(context_.admission->Validate(admission));
  }
  if (before != nullptr && kind->has_generation && !status_only && SpecChanged(object, *before)) {
    object["metadata"].as_object()["generation"] =
        IntAt(*before, {"metadata", "generation"}, 1) + 1;
  }
  if (kind->warnings) {
    for (std::string& warning : kind->warnings(object)) {
      request.warnings.push_back(std::move(warning));
    }
  }
  for (std::string& warning : admission.warnings) request.warnings.push_back(std::move(warning));
  plan.side_writes = std::move(admission.side_writes);
  if (request.applies) return absl::OkStatus();
  return TrackUpdate(schema, before, object, ManagerOf(request, *kind));
}

void ObjectApi::MakeNew(const Kind& kind, json::object& object) const {
  if (!object["metadata"].is_object()) object["metadata"] = json::object();
  json::object& metadata = object["metadata"].as_object();
  for (const char* field : {"resourceVersion", "selfLink", "deletionTimestamp",
                            "deletionGracePeriodSeconds", "generation"}) {
    metadata.erase(field);
  }
  metadata["uid"] = RandomUid();
  metadata["creationTimestamp"] = orchestrator::FormatTime(absl::Now());
  if (kind.has_generation) metadata["generation"] = 1;
}

absl::Status ObjectApi::Reserve(const Kind& kind, const json::object* before, WritePlan& plan) {
  if (kind.plural == "events" && event_lease_ != nullptr) plan.lease = event_lease_->Current();
  if (addresses_ == nullptr || !kind.group.empty() || kind.plural != "services") {
    return absl::OkStatus();
  }
  return addresses_->Plan(before, plan.what == WritePlan::What::kDelete ? nullptr : &plan.object,
                          plan);
}

}  // namespace keel::orchestrator
