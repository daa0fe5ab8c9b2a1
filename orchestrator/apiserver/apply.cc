// Server-side apply: PATCH with application/apply-patch+yaml. The object is made when there is
// none.
#include <algorithm>

#include "absl/time/clock.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/managed_fields.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/object_api.h"
#include "orchestrator/apiserver/yaml.h"

namespace keel::orchestrator {

FieldManager ObjectApi::ManagerOf(const Request& request, const Kind& kind) const {
  std::string name(request.info.query.Get("fieldManager"));
  if (name.empty()) {
    const std::string_view agent = request.http.Header("user-agent");
    name = std::string(agent.substr(0, agent.find('/')));
  }
  if (name.empty()) name = "unknown";
  return {.name = std::move(name),
          .api_version = kind.api_version(),
          .time = orchestrator::FormatTime(absl::Now()),
          .subresource = request.info.subresource};
}

void ObjectApi::Apply(RequestPtr request, KindPtr kind) {
  const absl::StatusOr<bool> dry_run = DryRun(*request);
  if (!dry_run.ok()) return request->Fail(dry_run.status());
  if (request->info.query.Get("fieldManager").empty()) {
    FieldErrors errors;
    errors.Required("fieldManager", "is required for apply patch");
    return request->Fail(Invalid("meta.k8s.io", "PatchOptions", "", errors));
  }
  auto parsed = ParseYaml(request->http.body);
  if (!parsed.ok() || !parsed->is_object()) {
    return request->Fail(BadRequest(
        base::StrCat("error decoding YAML: ",
                     parsed.ok() ? "it is no object" : base::ToStd(parsed.status().message()))));
  }
  json::object config = std::move(parsed->as_object());
  if (StringAt(config, {"kind"}) != kind->kind ||
      StringAt(config, {"apiVersion"}) != kind->api_version()) {
    return request->Fail(BadRequest(base::StrCat(
        "the body is a ", StringAt(config, {"kind"}), " of ", StringAt(config, {"apiVersion"}),
        ", not a ", kind->kind, " of ", kind->api_version())));
  }
  if (!config["metadata"].is_object()) config["metadata"] = json::object();
  json::object& metadata = config["metadata"].as_object();
  const std::string_view name = StringAt(metadata, {"name"});
  if (!name.empty() && name != request->info.name) {
    return request->Fail(BadRequest("metadata.name does not match the name on the URL"));
  }
  metadata["name"] = request->info.name;
  if (kind->namespaced) metadata["namespace"] = request->info.ns;
  const std::string version(StringAt(metadata, {"resourceVersion"}));
  for (const char* field : {"resourceVersion", "creationTimestamp", "uid", "generation"}) {
    metadata.erase(field);
  }
  const bool status_only = request->info.subresource == "status";
  if (status_only) {
    for (auto at = config.begin(); at != config.end();) {
      const auto key = at->key();
      const bool keep =
          key == "apiVersion" || key == "kind" || key == "metadata" || key == "status";
      at = keep ? at + 1 : config.erase(at);
    }
  } else if (kind->has_status) {
    config.erase("status");
  }
  if (absl::Status status = CheckUnknownFields(*request, *kind, config, {}); !status.ok()) {
    return request->Fail(status);
  }
  request->decoding_warnings = request->warnings.size();
  request->applies = true;
  const bool force = request->info.query.Flag("force");
  const FieldManager who = ManagerOf(*request, *kind);
  writer_.Write(
      TargetOf(*request, *kind, *dry_run),
      [this, request, kind, config, version, who, force, status_only,
       dry_run = *dry_run](const json::object* stored) -> absl::StatusOr<WritePlan> {
        request->warnings.resize(std::min(request->warnings.size(), request->decoding_warnings));
        json::value live;
        if (stored != nullptr) {
          json::object before = *stored;
          KEEL_RETURN_IF_ERROR(presenter_.ToVersion(*kind, before));
          if (!version.empty() && version != StringAt(before, {"metadata", "resourceVersion"})) {
            return Conflict(kind->resource(), request->info.name,
                            "the object has been modified; please apply your changes to the "
                            "latest version and try again");
          }
          live = std::move(before);
        } else if (status_only) {
          return NotFound(kind->resource(), request->info.name);
        } else if (!version.empty()) {
          return Conflict(kind->resource(), request->info.name,
                          "Precondition failed: there is no such object");
        }
        WritePlan plan;
        KEEL_ASSIGN_OR_RETURN(json::value now, ApplyConfiguration(context_.kinds.SchemaOf(*kind),
                                                                  live, config, who, force));
        plan.object = std::move(now.as_object());
        const json::object* before = live.if_object();
        if (before == nullptr) {
          KEEL_RETURN_IF_ERROR(MayCreate(*request));
          MakeNew(*kind, plan.object);
        }
        KEEL_RETURN_IF_ERROR(Admit(*request, kind, dry_run, plan.object, before, plan));
        if (before != nullptr) {
          if (GoesNow(*kind, plan.object)) plan.what = WritePlan::What::kDelete;
        }
        KEEL_RETURN_IF_ERROR(Reserve(*kind, before, plan));
        KEEL_RETURN_IF_ERROR(presenter_.ToStored(*kind, plan.object));
        return plan;
      },
      [this, request, kind](absl::StatusOr<Written> written) {
        if (!written.ok()) return request->Fail(written.status());
        Answer(*request, kind, written->created ? 201 : 200, *written);
      });
}

}  // namespace keel::orchestrator
