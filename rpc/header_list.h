// Names and values of HTTP/2 headers, on both sides.
#pragma once

#include <nghttp2/nghttp2.h>

#include <string_view>

namespace keel::rpc::internal {

enum class RequestHeader { kPath, kMethod, kContentType, kTimeout, kEncoding, kIgnored, kOther };

// What a server does with a request header of that name. kIgnored are those
// that gRPC and HTTP/2 use for themselves.
RequestHeader ClassifyRequestHeader(std::string_view name);

// "application/grpc", also with a "+proto" or ";charset" behind.
bool IsGrpcContentType(std::string_view value);

// A header that the session refers to instead of copying. REQUIRES: name and
// value live until the frame is sent; literals do.
nghttp2_nv StaticHeader(std::string_view name, std::string_view value);
// A header whose value is copied.
nghttp2_nv CopiedHeader(std::string_view name, std::string_view value);
// As Copied, and kept out of the compression table: for values that do not
// come again.
nghttp2_nv OneTimeHeader(std::string_view name, std::string_view value);

}  // namespace keel::rpc::internal
