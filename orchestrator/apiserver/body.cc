// Bodies of requests: decoded, and their fields compared with what the kind knows.
#include <algorithm>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/apiserver/decode_body.h"
#include "orchestrator/apiserver/object_api.h"

namespace keel::orchestrator {

namespace {

constexpr size_t kMaxWarnings = 50;

std::string Joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += ", ";
    out += part;
  }
  return out;
}

}  // namespace

absl::StatusOr<bool> ObjectApi::DryRun(const Request& request) {
  const auto all = request.info.query.All("dryRun");
  for (const std::string_view value : all) {
    if (value == "All") continue;
    if (value.empty()) continue;
    FieldErrors errors;
    errors.NotSupported("dryRun", json::value(std::string(value)), {"All"});
    return Invalid("meta.k8s.io", "PatchOptions", "", errors);
  }
  return std::find(all.begin(), all.end(), "All") != all.end();
}

absl::Status ObjectApi::CheckUnknownFields(Request& request, const Kind& kind, json::object& object,
                                           std::vector<std::string> duplicates) {
  std::string_view mode = request.info.query.Get("fieldValidation");
  if (mode.empty()) mode = "Warn";
  if (mode != "Ignore" && mode != "Warn" && mode != "Strict") {
    FieldErrors errors;
    errors.NotSupported("fieldValidation", json::value(std::string(mode)),
                        {"Ignore", "Warn", "Strict"});
    return Invalid("meta.k8s.io", "CreateOptions", "", errors);
  }
  std::vector<std::string> unknown;
  json::value value = std::move(object);
  PruneUnknown(context_.kinds.SchemaOf(kind), value, &unknown);
  object = std::move(value.as_object());
  if (mode == "Ignore") return absl::OkStatus();
  std::vector<std::string> problems;
  for (const std::string& path : duplicates) {
    problems.push_back(base::StrCat("duplicate field \"", path, "\""));
  }
  for (const std::string& path : unknown) {
    problems.push_back(base::StrCat("unknown field \"", path, "\""));
  }
  if (problems.empty()) return absl::OkStatus();
  if (mode == "Strict") {
    return BadRequest(base::StrCat(kind.kind, " in version \"", kind.version,
                                   "\" cannot be handled as a ", kind.kind,
                                   ": strict decoding error: ", Joined(problems)));
  }
  for (const std::string& problem : problems) {
    if (request.warnings.size() < kMaxWarnings) request.warnings.push_back(problem);
  }
  return absl::OkStatus();
}

absl::StatusOr<json::object> ObjectApi::DecodeObject(Request& request, const Kind& kind) {
  if (request.http.body.empty()) {
    return BadRequest("the body of the request is empty: an object is needed");
  }
  std::vector<std::string> duplicates;
  KEEL_ASSIGN_OR_RETURN(json::value value,
                        DecodeBody(request.http.Header("content-type"), request.http.body,
                                   "the body of the request", &duplicates));
  if (!value.is_object()) return BadRequest("the body of the request is no object");
  json::object& object = value.as_object();
  // The path says what the object is; many clients leave it at that.
  if (StringAt(object, {"kind"}).empty()) object["kind"] = kind.kind;
  if (StringAt(object, {"apiVersion"}).empty()) object["apiVersion"] = kind.api_version();
  const std::string_view api_version = StringAt(object, {"apiVersion"});
  const std::string_view kind_name = StringAt(object, {"kind"});
  if (kind_name != kind.kind || api_version != kind.api_version()) {
    const size_t slash = api_version.find('/');
    const std::string_view group =
        slash == std::string_view::npos ? std::string_view() : api_version.substr(0, slash);
    if (kind_name == kind.kind && group == kind.group) {
      return BadRequest(base::StrCat("the API version in the data (", api_version,
                                     ") does not match the expected API version (",
                                     kind.api_version(), ")"));
    }
    return BadRequest(base::StrCat(kind.kind, " in version \"", kind.version,
                                   "\" cannot be handled as a ", kind.kind, ": the body is a ",
                                   kind_name, " of ", api_version));
  }
  if (const json::value* metadata = object.if_contains("metadata");
      metadata != nullptr && !metadata->is_object() && !metadata->is_null()) {
    return BadRequest("metadata is no object");
  }
  if (!object["metadata"].is_object()) object["metadata"] = json::object();
  KEEL_RETURN_IF_ERROR(CheckUnknownFields(request, kind, object, std::move(duplicates)));
  return std::move(object);
}

}  // namespace keel::orchestrator
