// gRPC's status as HTTP/2 carries it (gRPC over HTTP/2, "Responses"): the code
// in decimal in grpc-status, the message percent-encoded in grpc-message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace keel::rpc::internal {

// Encodes bytes outside printable ASCII, and '%', as %XX.
std::string PercentEncode(std::string_view text);
// Leaves what is not a valid escape as it is.
std::string PercentDecode(std::string_view text);

// absl's codes are gRPC's numbers. Anything not 0 to 16 is Unknown.
absl::Status StatusFromWire(std::string_view code, std::string_view encoded_message);
// For a response without grpc-status.
absl::Status StatusFromHttp(int http_status);
// For a stream reset with this HTTP/2 error code instead of ended by a status.
absl::Status StatusFromReset(uint32_t http2_error_code);

}  // namespace keel::rpc::internal
