// PUT and PATCH, of objects and of their status.
#include <algorithm>
#include <optional>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/patch.h"
#include "orchestrator/apiserver/delete_rules.h"
#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

namespace {

constexpr std::string_view kModified =
    "the object has been modified; please apply your changes to the latest version and try again";

// What a client says about the state that it means, compared with the one there is.
absl::Status CheckPreconditions(const Kind& kind, const json::object& object,
                                const json::object& before, bool version_needed) {
  const std::string_view name = StringAt(before, {"metadata", "name"});
  const std::string_view uid = StringAt(object, {"metadata", "uid"});
  const std::string_view uid_before = StringAt(before, {"metadata", "uid"});
  if (!uid.empty() && uid != uid_before) {
    return Conflict(kind.resource(), name,
                    base::StrCat("Precondition failed: UID in precondition: ", uid,
                                 ", UID in object meta: ", uid_before));
  }
  const std::string_view version = StringAt(object, {"metadata", "resourceVersion"});
  if (version.empty() || version == "0") {
    if (!version_needed) return absl::OkStatus();
    FieldErrors errors;
    errors.InvalidShown("metadata.resourceVersion", "0x0", "must be specified for an update");
    return Invalid(kind.group, kind.kind, name, errors);
  }
  if (version != StringAt(before, {"metadata", "resourceVersion"})) {
    return Conflict(kind.resource(), name, kModified);
  }
  return absl::OkStatus();
}

// What a PUT makes where there is nothing.
absl::Status PrepareToCreate(const Request& request, const Kind& kind, json::object& object) {
  json::object& metadata = object["metadata"].as_object();
  if (const std::string_view uid = StringAt(metadata, {"uid"}); !uid.empty()) {
    return Conflict(
        kind.resource(), request.info.name,
        base::StrCat("Precondition failed: UID in precondition: ", uid, ", UID in object meta: "));
  }
  if (kind.namespaced) {
    metadata["namespace"] = request.info.ns;
  } else {
    metadata.erase("namespace");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ObjectApi::MayCreate(const Request& request) const {
  if (context_.authorizer == nullptr) return absl::OkStatus();
  Attributes attributes = request.info.AttributesFor(request.user);
  attributes.verb = "create";
  return context_.authorizer->Authorize(attributes);
}

void ObjectApi::UpdateWith(RequestPtr request, KindPtr kind, Changed change) {
  const absl::StatusOr<bool> dry_run = DryRun(*request);
  if (!dry_run.ok()) return request->Fail(dry_run.status());
  request->decoding_warnings = request->warnings.size();
  const bool replaces = request->info.verb == "update" && request->info.subresource.empty();
  const bool version_needed = request->info.verb == "update" &&
                              request->info.subresource != "scale" &&
                              !kind->can_update_without_version;
  const bool may_create = replaces && kind->can_create_by_update;
  writer_.Write(
      TargetOf(*request, *kind, *dry_run),
      [this, request, kind, change = std::move(change), version_needed, may_create,
       dry_run = *dry_run](const json::object* stored) -> absl::StatusOr<WritePlan> {
        if (stored == nullptr && may_create) {
          request->warnings.resize(std::min(request->warnings.size(), request->decoding_warnings));
          KEEL_RETURN_IF_ERROR(MayCreate(*request));
          KEEL_ASSIGN_OR_RETURN(json::object made, change({}));
          WritePlan plan{.object = std::move(made)};
          KEEL_RETURN_IF_ERROR(PrepareToCreate(*request, *kind, plan.object));
          MakeNew(*kind, plan.object);
          KEEL_RETURN_IF_ERROR(Admit(*request, kind, dry_run, plan.object, nullptr, plan));
          KEEL_RETURN_IF_ERROR(Reserve(*kind, nullptr, plan));
          KEEL_RETURN_IF_ERROR(presenter_.ToStored(*kind, plan.object));
          return plan;
        }
        if (stored == nullptr) return NotFound(kind->resource(), request->info.name);
        std::optional<json::object> converted;
        if (StringAt(*stored, {"apiVersion"}) != kind->api_version()) {
          converted = *stored;
          KEEL_RETURN_IF_ERROR(presenter_.ToVersion(*kind, *converted));
        }
        const json::object& before = converted.has_value() ? *converted : *stored;
        request->warnings.resize(std::min(request->warnings.size(), request->decoding_warnings));
        KEEL_ASSIGN_OR_RETURN(json::object changed, change(before));
        // Made of it, not assigned: so it stays on the memory of `stored`.
        WritePlan plan{.object = std::move(changed)};
        KEEL_RETURN_IF_ERROR(CheckPreconditions(*kind, plan.object, before, version_needed));
        KEEL_RETURN_IF_ERROR(Admit(*request, kind, dry_run, plan.object, &before, plan));
        if (GoesNow(*kind, plan.object)) plan.what = WritePlan::What::kDelete;
        KEEL_RETURN_IF_ERROR(Reserve(*kind, &before, plan));
        KEEL_RETURN_IF_ERROR(presenter_.ToStored(*kind, plan.object));
        return plan;
      },
      [this, request, kind](absl::StatusOr<Written> written) {
        if (!written.ok()) return request->Fail(written.status());
        if (request->info.subresource != "scale") {
          return Answer(*request, kind, written->created ? 201 : 200, *written);
        }
        auto scale = ScaleBytes(*kind, written->bytes);
        if (!scale.ok()) return request->Fail(scale.status());
        request->SendJsonBytes(200, *std::move(scale));
      });
}

void ObjectApi::Update(RequestPtr request, KindPtr kind) {
  auto decoded = DecodeObject(*request, *kind);
  if (!decoded.ok()) return request->Fail(decoded.status());
  const std::string_view name = StringAt(*decoded, {"metadata", "name"});
  if (name.empty()) {
    return request->Fail(BadRequest(base::StrCat(
        "the name of the object (based on URL) was undeterminable: name must be provided")));
  }
  if (name != request->info.name) {
    return request->Fail(BadRequest(base::StrCat("the name of the object (", name,
                                                 ") does not match the name on the URL (",
                                                 request->info.name, ")")));
  }
  const std::string_view ns = StringAt(*decoded, {"metadata", "namespace"});
  if (!ns.empty() && ns != request->info.ns) {
    return request->Fail(
        BadRequest("the namespace of the provided object does not match the namespace sent on the "
                   "request"));
  }
  UpdateWith(request, kind,
             [wanted = *std::move(decoded)](const json::object&) -> absl::StatusOr<json::object> {
               return wanted;
             });
}

void ObjectApi::Patch(RequestPtr request, KindPtr kind) {
  const std::string type = MediaTypeOf(request->http.Header("content-type"));
  if (type == "application/apply-patch+yaml") return Apply(std::move(request), std::move(kind));
  auto body = ParseJson(request->http.body);
  if (!body.ok()) {
    return request->Fail(
        BadRequest(base::StrCat("error decoding patch: ", base::ToStd(body.status().message()))));
  }
  UpdateWith(request, kind,
             [this, request, kind, type, patch = *std::move(body)](
                 const json::object& before) -> absl::StatusOr<json::object> {
               json::value now(before, before.storage());
               if (type == "application/merge-patch+json") {
                 KEEL_RETURN_IF_ERROR(ApplyMergePatch(now, patch));
               } else if (type == "application/json-patch+json") {
                 KEEL_RETURN_IF_ERROR(ApplyJsonPatch(now, patch));
               } else if (type == "application/strategic-merge-patch+json") {
                 KEEL_RETURN_IF_ERROR(
                     ApplyStrategicMergePatch(context_.kinds.SchemaOf(*kind), now, patch));
               } else {
                 return UnsupportedMediaType(
                     "application/json-patch+json, application/merge-patch+json, "
                     "application/strategic-merge-patch+json, application/apply-patch+yaml");
               }
               if (!now.is_object() || !now.as_object()["metadata"].is_object()) {
                 return BadRequest("the patched object is no object with metadata");
               }
               json::object object = std::move(now.as_object());
               KEEL_RETURN_IF_ERROR(CheckUnknownFields(*request, *kind, object, {}));
               return object;
             });
}

}  // namespace keel::orchestrator
