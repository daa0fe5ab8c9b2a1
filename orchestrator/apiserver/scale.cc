// The scale subresource: how many replicas are wanted and there are, the same way for every kind
// that has them (autoscaling/v1 Scale).
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/patch.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/apiserver/decode_body.h"
#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

namespace {

constexpr std::string_view kScaleVersion = "autoscaling/v1";

const json::value* FindPath(const json::object& object, const std::vector<std::string>& path) {
  const json::object* at = &object;
  for (size_t i = 0; i < path.size(); ++i) {
    const json::value* found = at->if_contains(path[i]);
    if (found == nullptr || i + 1 == path.size()) return found;
    at = found->if_object();
    if (at == nullptr) return nullptr;
  }
  return nullptr;
}

int64_t NumberAt(const json::object& object, const std::vector<std::string>& path) {
  const json::value* found = FindPath(object, path);
  return found != nullptr && found->is_int64() ? found->as_int64() : 0;
}

std::string SelectorText(const Kind& kind, const json::object& object) {
  const json::value* found = FindPath(object, kind.scale.selector);
  if (found == nullptr) return "";
  if (const json::string* text = found->if_string()) return std::string(View(*text));
  const json::object* map = found->if_object();
  if (map == nullptr) return "";
  if (map->contains("matchLabels") || map->contains("matchExpressions")) {
    auto selector = LabelSelector::FromObject(found);
    return selector.ok() ? selector->ToString() : "";
  }
  return LabelSelector::FromMap(*map).ToString();
}

json::object ScaleOf(const Kind& kind, const json::object& object) {
  json::object metadata;
  for (const char* field : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"}) {
    if (const json::value* value = Find(object, {"metadata", field})) metadata[field] = *value;
  }
  json::object status = {{"replicas", NumberAt(object, kind.scale.status_replicas)}};
  if (std::string selector = SelectorText(kind, object); !selector.empty()) {
    status["selector"] = std::move(selector);
  }
  return {{"kind", "Scale"},
          {"apiVersion", json::string_view(kScaleVersion.data(), kScaleVersion.size())},
          {"metadata", std::move(metadata)},
          {"spec", json::object{{"replicas", NumberAt(object, kind.scale.spec_replicas)}}},
          {"status", std::move(status)}};
}

// `object` with the replicas and the preconditions of a Scale.
absl::StatusOr<json::object> WithScale(const Kind& kind, json::object object,
                                       const json::object& scale) {
  const json::value* replicas = Find(scale, {"spec", "replicas"});
  const int64_t wanted = replicas != nullptr && replicas->is_int64() ? replicas->as_int64() : 0;
  if (wanted < 0) {
    FieldErrors errors;
    errors.InvalidValue("spec.replicas", wanted, "must be greater than or equal to 0");
    return Invalid("autoscaling", "Scale", StringAt(object, {"metadata", "name"}), errors);
  }
  json::object* at = &object;
  for (size_t i = 0; i + 1 < kind.scale.spec_replicas.size(); ++i) {
    json::value& next = (*at)[kind.scale.spec_replicas[i]];
    if (!next.is_object()) next = json::object();
    at = &next.as_object();
  }
  (*at)[kind.scale.spec_replicas.back()] = wanted;
  for (const char* field : {"resourceVersion", "uid"}) {
    const std::string_view value = StringAt(scale, {"metadata", field});
    if (value.empty()) continue;
    object["metadata"].as_object()[field] = json::string_view(value.data(), value.size());
  }
  return object;
}

}  // namespace

absl::StatusOr<std::string> ObjectApi::ScaleBytes(const Kind& kind, std::string_view bytes) {
  KEEL_ASSIGN_OR_RETURN(json::value value, ParseJson(bytes));
  if (!value.is_object()) return Internal("what is stored is no object");
  KEEL_RETURN_IF_ERROR(presenter_.ToVersion(kind, value.as_object()));
  return ToJson(ScaleOf(kind, value.as_object()));
}

void ObjectApi::GetScale(RequestPtr request, KindPtr kind) {
  context_.cache.WhenCurrent([this, request, kind](absl::Status status) {
    if (!status.ok()) return request->Fail(status);
    const auto object =
        context_.cache.Resource(kind->stored_resource()).Find(request->info.ns, request->info.name);
    if (object == nullptr) {
      return request->Fail(NotFound(kind->resource(), request->info.name));
    }
    auto bytes = ScaleBytes(*kind, object->bytes);
    if (!bytes.ok()) return request->Fail(bytes.status());
    request->SendJsonBytes(200, *std::move(bytes));
  });
}

void ObjectApi::WriteScale(RequestPtr request, KindPtr kind) {
  const bool patch = request->info.verb == "patch";
  auto body = patch ? ParseJson(request->http.body)
                    : DecodeBody(request->http.Header("content-type"), request->http.body, "Scale");
  if (!body.ok()) {
    return request->Fail(patch ? BadRequest(base::ToStd(body.status().message())) : body.status());
  }
  const std::string type = MediaTypeOf(request->http.Header("content-type"));
  UpdateWith(request, kind,
             [kind, patch, type,
              body = *std::move(body)](const json::object& before) -> absl::StatusOr<json::object> {
               if (!patch) {
                 if (!body.is_object()) return BadRequest("the body is no Scale object");
                 return WithScale(*kind, before, body.as_object());
               }
               json::value scale = ScaleOf(*kind, before);
               if (type == "application/json-patch+json") {
                 KEEL_RETURN_IF_ERROR(ApplyJsonPatch(scale, body));
               } else {
                 KEEL_RETURN_IF_ERROR(ApplyMergePatch(scale, body));
               }
               if (!scale.is_object()) return BadRequest("the patched Scale is no object");
               return WithScale(*kind, before, scale.as_object());
             });
}

}  // namespace keel::orchestrator
