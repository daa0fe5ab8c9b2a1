// Kubernetes' errors as absl::Status: what travels as a `Status` object over HTTP.
//
//   return NotFound("pods", "web-1");      // 404 NotFound: pods "web-1" not found
//   FieldErrors errors;
//   errors.Required("spec.containers", "");
//   if (!errors.empty()) return Invalid("", "Pod", "web-1", errors);
//
//   const ApiError e = ApiErrorOf(status); // of any status; e.ToJson() is the Status object
//
// Reason, code and details travel in a payload of the absl::Status, so StatusOr and the macros of
// base/status.h carry them. A status of any other origin reads as an error of the fitting code.
// The words are those of Kubernetes, since clients and people know them. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "orchestrator/api/json.h"

namespace keel::orchestrator {

struct ApiError {
  int code = 500;                        // of HTTP
  std::string reason = "InternalError";  // "NotFound", "AlreadyExists", "Conflict", "Invalid", ...
  std::string message;
  json::object details{};  // name, group, kind, uid, causes, retryAfterSeconds; may be empty

  absl::Status ToStatus() const;
  json::object ToJson() const;  // {"kind":"Status","apiVersion":"v1","status":"Failure",...}
};

// REQUIRES: !status.ok().
ApiError ApiErrorOf(const absl::Status& status);
// From the `Status` object of an answer, or, if the body is none, from the code of HTTP alone.
absl::Status StatusFromResponse(int http_code, std::string_view body);
// Whether it is an error of that reason ("NotFound", "Conflict", "AlreadyExists", "Expired", ...).
bool IsReason(const absl::Status& status, std::string_view reason);

// What is wrong with the fields of one object.
class FieldErrors {
 public:
  struct Cause {
    std::string reason;   // "FieldValueInvalid", "FieldValueRequired", ...
    std::string message;  // `Invalid value: "x": must be ...`
    std::string field;    // "spec.containers[0].name"
  };

  // spec.x: Invalid value: VALUE: detail. `value` is shown as JSON.
  void InvalidValue(std::string_view field, const json::value& value, std::string_view detail);
  // The same where the value is shown otherwise: `shown` stands as it is ("0x0").
  void InvalidShown(std::string_view field, std::string_view shown, std::string_view detail);
  void Required(std::string_view field, std::string_view detail);    // Required value: detail
  void Duplicate(std::string_view field, const json::value& value);  // Duplicate value: VALUE
  void NotFoundValue(std::string_view field, const json::value& value);
  // Unsupported value: VALUE: supported values: "A", "B"
  void NotSupported(std::string_view field, const json::value& value,
                    const std::vector<std::string>& supported);
  void Forbidden(std::string_view field, std::string_view detail);
  void TooLong(std::string_view field, size_t max_bytes);
  void TooMany(std::string_view field, size_t actual, size_t max);
  // Invalid value: VALUE: expected integer, got string
  void WrongType(std::string_view field, const json::value& value, std::string_view expected);

  void Add(Cause cause) { causes_.push_back(std::move(cause)); }

  bool empty() const { return causes_.empty(); }
  const std::vector<Cause>& causes() const { return causes_; }

 private:
  std::vector<Cause> causes_;
};

// `resource` is qualified by its group where it has one: "deployments.apps".
absl::Status NotFound(std::string_view resource, std::string_view name);
absl::Status AlreadyExists(std::string_view resource, std::string_view name);
// 409: Operation cannot be fulfilled on RESOURCE "NAME": detail
absl::Status Conflict(std::string_view resource, std::string_view name, std::string_view detail);
// 422: Kind.group "name" is invalid: field: message (several in brackets).
absl::Status Invalid(std::string_view group, std::string_view kind, std::string_view name,
                     const FieldErrors& errors);
absl::Status BadRequest(std::string_view message);
absl::Status Unauthorized(std::string_view message = "Unauthorized");
// 403: RESOURCE "NAME" is forbidden: detail (without name: RESOURCE is forbidden: detail)
absl::Status Forbidden(std::string_view resource, std::string_view name, std::string_view detail);
absl::Status MethodNotSupported(std::string_view resource, std::string_view verb);
absl::Status NotAcceptable(std::string_view supported);
absl::Status UnsupportedMediaType(std::string_view supported);
absl::Status Expired(std::string_view message);   // 410, reason Expired: relist
absl::Status TooLarge(std::string_view message);  // 413
// 429. With seconds clients wait and try again by themselves; 0: they see the error.
absl::Status TooManyRequests(std::string_view message, int retry_after_seconds = 1);
absl::Status Internal(std::string_view message);                               // 500
absl::Status Unavailable(std::string_view message);                            // 503
absl::Status TimedOut(std::string_view message, int retry_after_seconds = 1);  // 504
// The 404 of a path, rather than an object: "the server could not find the requested resource".
absl::Status NoSuchPath();

}  // namespace keel::orchestrator
