// Binding: a scheduler's decision, checked against all others by the store. A pod is bound once.
#include "absl/time/clock.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/decode_body.h"
#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

namespace {

void SetScheduled(json::object& pod) {
  json::value* status = Find(pod, {"status"});
  if (status == nullptr || !status->is_object()) pod["status"] = json::object();
  json::object& of = pod["status"].as_object();
  json::array conditions;
  for (const json::value& condition : ArrayAt(of, {"conditions"})) {
    if (StringAt(condition, {"type"}) != "PodScheduled") conditions.push_back(condition);
  }
  conditions.push_back(json::object{{"type", "PodScheduled"},
                                    {"status", "True"},
                                    {"lastProbeTime", nullptr},
                                    {"lastTransitionTime", orchestrator::FormatTime(absl::Now())}});
  of["conditions"] = std::move(conditions);
}

}  // namespace

void ObjectApi::Bind(RequestPtr request, KindPtr pods) {
  const absl::StatusOr<bool> dry_run = DryRun(*request);
  if (!dry_run.ok()) return request->Fail(dry_run.status());
  auto body = DecodeBody(request->http.Header("content-type"), request->http.body, "Binding");
  if (!body.ok()) return request->Fail(body.status());
  if (!body->is_object()) {
    return request->Fail(BadRequest("the body of the request is no Binding"));
  }
  const std::string name(request->info.name.empty() ? StringAt(*body, {"metadata", "name"})
                                                    : request->info.name);
  const std::string node(StringAt(*body, {"target", "name"}));
  const std::string_view target = StringAt(*body, {"target", "kind"});
  FieldErrors errors;
  if (node.empty()) errors.Required("target.name", "");
  if (!target.empty() && target != "Node") {
    errors.NotSupported("target.kind", json::value(json::string_view(target.data(), target.size())),
                        {"Node"});
  }
  if (!errors.empty()) return request->Fail(Invalid("", "Binding", name, errors));
  if (StringAt(*body, {"metadata", "name"}) != name &&
      !StringAt(*body, {"metadata", "name"}).empty()) {
    return request->Fail(
        BadRequest(base::StrCat("name in URL does not match name in Binding object: ", name)));
  }
  const std::string uid(StringAt(*body, {"metadata", "uid"}));
  writer_.Write(
      {.resource = "pods", .ns = request->info.ns, .name = name, .dry_run = *dry_run},
      [name, node, uid, body = *body](const json::object* before) -> absl::StatusOr<WritePlan> {
        if (before == nullptr) return NotFound("pods", name);
        const std::string_view uid_now = StringAt(*before, {"metadata", "uid"});
        if (!uid.empty() && uid != uid_now) {
          return Conflict("pods/binding", name,
                          base::StrCat("Precondition failed: UID in precondition: ", uid,
                                       ", UID in object meta: ", uid_now));
        }
        if (!StringAt(*before, {"metadata", "deletionTimestamp"}).empty()) {
          return Conflict(
              "pods/binding", name,
              base::StrCat("pod ", name, " is being deleted, cannot be assigned to a host"));
        }
        const std::string_view bound = StringAt(*before, {"spec", "nodeName"});
        if (!bound.empty()) {
          return Conflict(
              "pods/binding", name,
              base::StrCat("pod ", name, " is already assigned to node \"", bound, "\""));
        }
        if (!ArrayAt(*before, {"spec", "schedulingGates"}).empty()) {
          return Conflict("pods/binding", name,
                          base::StrCat("pod ", name, " has non-empty .spec.schedulingGates"));
        }
        WritePlan plan{.object = *before};
        *Ensure(plan.object, {"spec", "nodeName"}) = node;
        for (const auto& [key, value] : ObjectAt(body, {"metadata", "annotations"})) {
          *Ensure(plan.object,
                  {"metadata", "annotations", std::string_view(key.data(), key.size())}) = value;
        }
        SetScheduled(plan.object);
        return plan;
      },
      [request](absl::StatusOr<Written> written) {
        if (!written.ok()) return request->Fail(written.status());
        request->SendJson(201, json::object{{"kind", "Status"},
                                            {"apiVersion", "v1"},
                                            {"metadata", json::object()},
                                            {"status", "Success"}});
      });
}

}  // namespace keel::orchestrator
