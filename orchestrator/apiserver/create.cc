#include <algorithm>

#include "absl/time/clock.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

namespace {

constexpr int kNameTries = 8;
constexpr size_t kMaxGeneratedPrefix = 58;

}  // namespace

void ObjectApi::Answer(Request& request, const KindPtr& kind, int code, const Written& written) {
  const auto view = presenter_.ViewOf(kind, request.format, request.info.query);
  auto bytes = presenter_.Object(view, written.bytes);
  if (!bytes.ok()) return request.Fail(bytes.status());
  request.SendJsonBytes(code, *std::move(bytes));
}

void ObjectApi::Create(RequestPtr request, KindPtr kind) {
  if (!request->info.name.empty()) {
    return request->Fail(MethodNotSupported(kind->resource(), "create"));
  }
  auto decoded = DecodeObject(*request, *kind);
  if (!decoded.ok()) return request->Fail(decoded.status());
  CreateObject(std::move(request), std::move(kind), *std::move(decoded));
}

void ObjectApi::CreateObject(RequestPtr request, KindPtr kind, json::object decoded) {
  const absl::StatusOr<bool> dry_run = DryRun(*request);
  if (!dry_run.ok()) return request->Fail(dry_run.status());
  json::object& metadata = decoded["metadata"].as_object();
  const std::string ns(StringAt(metadata, {"namespace"}));
  if (kind->namespaced) {
    if (request->info.ns.empty()) {
      return request->Fail(BadRequest("an empty namespace may not be set during creation"));
    }
    if (!ns.empty() && ns != request->info.ns) {
      return request->Fail(
          BadRequest("the namespace of the provided object does not match the namespace sent on "
                     "the request"));
    }
    metadata["namespace"] = request->info.ns;
  } else {
    metadata.erase("namespace");
  }
  if (metadata.contains("resourceVersion") && !StringAt(metadata, {"resourceVersion"}).empty()) {
    return request->Fail(BadRequest("resourceVersion should not be set on objects to be created"));
  }
  MakeNew(*kind, decoded);
  request->decoding_warnings = request->warnings.size();
  TryCreate(std::move(request), std::move(kind),
            std::make_shared<const json::object>(std::move(decoded)), *dry_run, 0);
}

void ObjectApi::TryCreate(RequestPtr request, KindPtr kind,
                          std::shared_ptr<const json::object> wanted, bool dry_run, int tries) {
  std::string name(StringAt(*wanted, {"metadata", "name"}));
  const std::string prefix(StringAt(*wanted, {"metadata", "generateName"}));
  const bool generated = name.empty() && !prefix.empty();
  if (generated) name = prefix.substr(0, kMaxGeneratedPrefix) + RandomSuffix();
  json::object object = *wanted;
  object["metadata"].as_object()["name"] = name;
  WriteTarget target{.resource = kind->stored_resource(),
                     .ns = request->info.ns,
                     .name = name,
                     .create = true,
                     .dry_run = dry_run};
  writer_.Write(
      std::move(target),
      [this, request, kind, dry_run,
       wanted = std::move(object)](const json::object*) -> absl::StatusOr<WritePlan> {
        WritePlan plan{.object = wanted};
        request->warnings.resize(std::min(request->warnings.size(), request->decoding_warnings));
        KEEL_RETURN_IF_ERROR(Admit(*request, kind, dry_run, plan.object, nullptr, plan));
        KEEL_RETURN_IF_ERROR(Reserve(*kind, nullptr, plan));
        KEEL_RETURN_IF_ERROR(presenter_.ToStored(*kind, plan.object));
        return plan;
      },
      [this, request, kind, wanted, dry_run, generated, tries,
       name](absl::StatusOr<Written> written) {
        if (written.ok()) return Answer(*request, kind, 201, *written);
        if (generated && IsReason(written.status(), "AlreadyExists") && tries < kNameTries) {
          return TryCreate(request, kind, wanted, dry_run, tries + 1);
        }
        request->Fail(written.status());
      });
}

}  // namespace keel::orchestrator
