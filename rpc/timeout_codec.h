// The grpc-timeout header (gRPC over HTTP/2, "Requests"): 1 to 8 digits and a
// unit out of H M S m u n.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/loop.h"

namespace keel::rpc::internal {

// Internal "malformed grpc-timeout: ..." when it is not one. Timeouts beyond
// what a Duration holds become its maximum.
absl::StatusOr<base::Duration> ParseTimeout(std::string_view text);

// In the finest unit that fits 8 digits, rounded up. A negative one is "0n".
std::string FormatTimeout(base::Duration timeout);

}  // namespace keel::rpc::internal
