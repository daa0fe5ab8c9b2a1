#include "orchestrator/api/error.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

TEST(ApiError, TravelsThroughStatus) {
  const ApiError error = ApiErrorOf(NotFound("deployments.apps", "web"));
  EXPECT_EQ(error.code, 404);
  EXPECT_EQ(error.reason, "NotFound");
  EXPECT_EQ(ToJson(error.ToJson()),
            R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",)"
            R"("message":"deployments.apps \"web\" not found","reason":"NotFound",)"
            R"("details":{"name":"web","group":"apps","kind":"deployments"},"code":404})");
}

TEST(ApiError, ComesBackFromAResponse) {
  const absl::Status sent = Conflict("pods", "p", "old");
  const absl::Status got = StatusFromResponse(409, ToJson(ApiErrorOf(sent).ToJson()));
  EXPECT_EQ(got, sent);
  EXPECT_TRUE(IsReason(got, "Conflict"));
  EXPECT_TRUE(IsReason(StatusFromResponse(503, "oops"), "ServiceUnavailable"));
  EXPECT_FALSE(IsReason(absl::OkStatus(), "Conflict"));
}

TEST(ApiError, AForeignStatusHasAFittingCode) {
  EXPECT_EQ(ApiErrorOf(absl::UnavailableError("x")).code, 503);
  EXPECT_EQ(ApiErrorOf(absl::UnknownError("x")).reason, "InternalError");
}

TEST(ApiError, InvalidNamesAllFields) {
  FieldErrors errors;
  errors.Required("spec.containers", "");
  EXPECT_EQ(base::ToStd(Invalid("", "Pod", "p", errors).message()),
            "Pod \"p\" is invalid: spec.containers: Required value");
  errors.InvalidValue("spec.x", 3, "must be even");
  errors.NotSupported("spec.y", "z", {"A", "B"});
  const ApiError error = ApiErrorOf(Invalid("apps", "Deployment", "d", errors));
  EXPECT_EQ(error.message,
            "Deployment.apps \"d\" is invalid: [spec.containers: Required value, "
            "spec.x: Invalid value: 3: must be even, "
            "spec.y: Unsupported value: \"z\": supported values: \"A\", \"B\"]");
  EXPECT_EQ(ArrayAt(error.details, {"causes"}).size(), 3u);
  EXPECT_EQ(error.code, 422);
}

}  // namespace
}  // namespace keel::orchestrator
