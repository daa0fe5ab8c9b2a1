#include "orchestrator/api/error.h"

#include "absl/strings/cord.h"
#include "base/check.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

constexpr char kPayload[] = "keel.orchestrator/status";

absl::StatusCode CodeOf(int http) {
  switch (http) {
    case 400:
      return absl::StatusCode::kInvalidArgument;
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
      return absl::StatusCode::kNotFound;
    case 405:
      return absl::StatusCode::kUnimplemented;
    case 409:
      return absl::StatusCode::kAborted;
    case 410:
      return absl::StatusCode::kOutOfRange;
    case 413:
      return absl::StatusCode::kResourceExhausted;
    case 422:
      return absl::StatusCode::kInvalidArgument;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    case 503:
      return absl::StatusCode::kUnavailable;
    case 504:
      return absl::StatusCode::kDeadlineExceeded;
    default:
      return http < 500 ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kInternal;
  }
}

struct CodeAndReason {
  int code;
  const char* reason;
};
CodeAndReason OfCanonical(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
      return {400, "BadRequest"};
    case absl::StatusCode::kUnauthenticated:
      return {401, "Unauthorized"};
    case absl::StatusCode::kPermissionDenied:
      return {403, "Forbidden"};
    case absl::StatusCode::kNotFound:
      return {404, "NotFound"};
    case absl::StatusCode::kAlreadyExists:
      return {409, "AlreadyExists"};
    case absl::StatusCode::kAborted:
      return {409, "Conflict"};
    case absl::StatusCode::kOutOfRange:
      return {410, "Expired"};
    case absl::StatusCode::kUnavailable:
      return {503, "ServiceUnavailable"};
    case absl::StatusCode::kDeadlineExceeded:
      return {504, "Timeout"};
    case absl::StatusCode::kResourceExhausted:
      return {429, "TooManyRequests"};
    default:
      return {500, "InternalError"};
  }
}

const char* ReasonOfHttp(int code) {
  switch (code) {
    case 400:
      return "BadRequest";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "NotFound";
    case 405:
      return "MethodNotAllowed";
    case 406:
      return "NotAcceptable";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "RequestEntityTooLarge";
    case 415:
      return "UnsupportedMediaType";
    case 422:
      return "Invalid";
    case 429:
      return "TooManyRequests";
    case 503:
      return "ServiceUnavailable";
    case 504:
      return "Timeout";
    default:
      return code < 500 ? "Unknown" : "InternalError";
  }
}

absl::Status Make(int code, std::string_view reason, std::string message,
                  json::object details = {}) {
  return ApiError{.code = code,
                  .reason = std::string(reason),
                  .message = std::move(message),
                  .details = std::move(details)}
      .ToStatus();
}

// "deployments.apps" as details of a Status.
json::object DetailsOf(std::string_view resource, std::string_view name) {
  json::object details;
  const size_t dot = resource.find('.');
  if (!name.empty()) details["name"] = name;
  if (dot != std::string_view::npos) details["group"] = resource.substr(dot + 1);
  if (!resource.empty()) details["kind"] = resource.substr(0, dot);
  return details;
}

}  // namespace

absl::Status ApiError::ToStatus() const {
  KEEL_CHECK(code >= 400);
  absl::Status status(reason == "AlreadyExists" ? absl::StatusCode::kAlreadyExists : CodeOf(code),
                      base::ToAbsl(message));
  json::object payload;
  payload["code"] = code;
  payload["reason"] = reason;
  if (!details.empty()) payload["details"] = details;
  status.SetPayload(kPayload, absl::Cord(json::serialize(payload)));
  return status;
}

json::object ApiError::ToJson() const {
  json::object out;
  out["kind"] = "Status";
  out["apiVersion"] = "v1";
  out["metadata"] = json::object();
  out["status"] = "Failure";
  out["message"] = message;
  out["reason"] = reason;
  if (!details.empty()) out["details"] = details;
  out["code"] = code;
  return out;
}

ApiError ApiErrorOf(const absl::Status& status) {
  KEEL_CHECK(!status.ok());
  ApiError error;
  error.message = std::string(base::ToStd(status.message()));
  if (const auto payload = status.GetPayload(kPayload)) {
    auto parsed = ParseJson(std::string(*payload));
    KEEL_CHECK(parsed.ok());
    error.code = static_cast<int>(IntAt(*parsed, {"code"}, 500));
    error.reason = std::string(StringAt(*parsed, {"reason"}));
    error.details = ObjectAt(*parsed, {"details"});
    return error;
  }
  const CodeAndReason of = OfCanonical(status.code());
  error.code = of.code;
  error.reason = of.reason;
  return error;
}

absl::Status StatusFromResponse(int http_code, std::string_view body) {
  auto parsed = ParseJson(body);
  if (parsed.ok() && StringAt(*parsed, {"kind"}) == "Status") {
    ApiError error;
    error.code = static_cast<int>(IntAt(*parsed, {"code"}, http_code));
    if (error.code < 400) error.code = 500;
    error.reason = std::string(StringAt(*parsed, {"reason"}));
    error.message = std::string(StringAt(*parsed, {"message"}));
    error.details = ObjectAt(*parsed, {"details"});
    return error.ToStatus();
  }
  return Make(http_code < 400 ? 500 : http_code, ReasonOfHttp(http_code),
              base::StrCat("the server answered ", http_code, ": ", body.substr(0, 200)));
}

bool IsReason(const absl::Status& status, std::string_view reason) {
  return !status.ok() && ApiErrorOf(status).reason == reason;
}

void FieldErrors::InvalidValue(std::string_view field, const json::value& value,
                               std::string_view detail) {
  InvalidShown(field, json::serialize(value), detail);
}
void FieldErrors::InvalidShown(std::string_view field, std::string_view shown,
                               std::string_view detail) {
  causes_.push_back({"FieldValueInvalid", base::StrCat("Invalid value: ", shown, ": ", detail),
                     std::string(field)});
}
void FieldErrors::Required(std::string_view field, std::string_view detail) {
  causes_.push_back({"FieldValueRequired",
                     detail.empty() ? "Required value" : base::StrCat("Required value: ", detail),
                     std::string(field)});
}
void FieldErrors::Duplicate(std::string_view field, const json::value& value) {
  causes_.push_back({"FieldValueDuplicate",
                     base::StrCat("Duplicate value: ", json::serialize(value)),
                     std::string(field)});
}
void FieldErrors::NotFoundValue(std::string_view field, const json::value& value) {
  causes_.push_back({"FieldValueNotFound", base::StrCat("Not found: ", json::serialize(value)),
                     std::string(field)});
}
void FieldErrors::NotSupported(std::string_view field, const json::value& value,
                               const std::vector<std::string>& supported) {
  std::string list;
  for (const std::string& one : supported) {
    if (!list.empty()) list += ", ";
    list += json::serialize(json::value(one));
  }
  causes_.push_back(
      {"FieldValueNotSupported",
       base::StrCat("Unsupported value: ", json::serialize(value), ": supported values: ", list),
       std::string(field)});
}
void FieldErrors::Forbidden(std::string_view field, std::string_view detail) {
  causes_.push_back(
      {"FieldValueForbidden", base::StrCat("Forbidden: ", detail), std::string(field)});
}
void FieldErrors::TooLong(std::string_view field, size_t max_bytes) {
  causes_.push_back({"FieldValueTooLong",
                     base::StrCat("Too long: may not be more than ", max_bytes, " bytes"),
                     std::string(field)});
}
void FieldErrors::TooMany(std::string_view field, size_t actual, size_t max) {
  causes_.push_back({"FieldValueTooMany",
                     base::StrCat("Too many: ", actual, ": must have at most ", max,
                                  max == 1 ? " item" : " items"),
                     std::string(field)});
}
void FieldErrors::WrongType(std::string_view field, const json::value& value,
                            std::string_view expected) {
  causes_.push_back(
      {"FieldValueTypeInvalid",
       base::StrCat("Invalid value: ", json::serialize(value), ": must be of type ", expected),
       std::string(field)});
}

absl::Status NotFound(std::string_view resource, std::string_view name) {
  return Make(404, "NotFound", base::StrCat(resource, " \"", name, "\" not found"),
              DetailsOf(resource, name));
}
absl::Status AlreadyExists(std::string_view resource, std::string_view name) {
  return Make(409, "AlreadyExists", base::StrCat(resource, " \"", name, "\" already exists"),
              DetailsOf(resource, name));
}
absl::Status Conflict(std::string_view resource, std::string_view name, std::string_view detail) {
  return Make(
      409, "Conflict",
      base::StrCat("Operation cannot be fulfilled on ", resource, " \"", name, "\": ", detail),
      DetailsOf(resource, name));
}
absl::Status Invalid(std::string_view group, std::string_view kind, std::string_view name,
                     const FieldErrors& errors) {
  json::object details;
  if (!name.empty()) details["name"] = name;
  if (!group.empty()) details["group"] = group;
  details["kind"] = kind;
  json::array causes;
  std::string list;
  for (const FieldErrors::Cause& cause : errors.causes()) {
    causes.push_back(
        json::object{{"reason", cause.reason}, {"message", cause.message}, {"field", cause.field}});
    if (!list.empty()) list += ", ";
    list += cause.field + ": " + cause.message;
  }
  if (causes.size() > 1) list = "[" + list + "]";
  details["causes"] = std::move(causes);
  return Make(
      422, "Invalid",
      base::StrCat(kind, group.empty() ? "" : ".", group, " \"", name, "\" is invalid: ", list),
      std::move(details));
}
absl::Status BadRequest(std::string_view message) {
  return Make(400, "BadRequest", std::string(message));
}
absl::Status Unauthorized(std::string_view message) {
  return Make(401, "Unauthorized", std::string(message));
}
absl::Status Forbidden(std::string_view resource, std::string_view name, std::string_view detail) {
  std::string what(resource);
  if (!name.empty()) what += base::StrCat(" \"", name, "\"");
  return Make(403, "Forbidden", base::StrCat(what, " is forbidden: ", detail),
              DetailsOf(resource, name));
}
absl::Status MethodNotSupported(std::string_view resource, std::string_view verb) {
  return Make(405, "MethodNotAllowed",
              base::StrCat(verb, " is not supported on resources of kind \"", resource, "\""),
              DetailsOf(resource, ""));
}
absl::Status NotAcceptable(std::string_view supported) {
  return Make(406, "NotAcceptable",
              base::StrCat("only the following media types are accepted: ", supported));
}
absl::Status UnsupportedMediaType(std::string_view supported) {
  return Make(
      415, "UnsupportedMediaType",
      base::StrCat("the body of the request was in an unknown format - accepted media types "
                   "include: ",
                   supported));
}
absl::Status Expired(std::string_view message) {
  return Make(410, "Expired", std::string(message));
}
absl::Status TooLarge(std::string_view message) {
  return Make(413, "RequestEntityTooLarge", std::string(message));
}
absl::Status TooManyRequests(std::string_view message, int retry_after_seconds) {
  json::object details;
  if (retry_after_seconds > 0) details["retryAfterSeconds"] = retry_after_seconds;
  return Make(429, "TooManyRequests", std::string(message), std::move(details));
}
absl::Status Internal(std::string_view message) {
  return Make(500, "InternalError", base::StrCat("Internal error occurred: ", message));
}
absl::Status Unavailable(std::string_view message) {
  return Make(503, "ServiceUnavailable", std::string(message));
}
absl::Status TimedOut(std::string_view message, int retry_after_seconds) {
  return Make(504, "Timeout", std::string(message), {{"retryAfterSeconds", retry_after_seconds}});
}
absl::Status NoSuchPath() {
  return Make(404, "NotFound", "the server could not find the requested resource");
}

}  // namespace keel::orchestrator
