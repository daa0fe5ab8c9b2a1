#include "rpc/header_list.h"

namespace keel::rpc::internal {

namespace {

nghttp2_nv Header(std::string_view name, std::string_view value, uint8_t flags) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          flags};
}

}  // namespace

RequestHeader ClassifyRequestHeader(std::string_view name) {
  switch (name.size()) {
    case 2:
      if (name == "te") return RequestHeader::kIgnored;
      break;
    case 5:
      if (name == ":path") return RequestHeader::kPath;
      break;
    case 7:
      if (name == ":method") return RequestHeader::kMethod;
      if (name == ":scheme") return RequestHeader::kIgnored;
      break;
    case 10:
      if (name == "user-agent" || name == ":authority") return RequestHeader::kIgnored;
      break;
    case 12:
      if (name == "content-type") return RequestHeader::kContentType;
      if (name == "grpc-timeout") return RequestHeader::kTimeout;
      break;
    case 13:
      if (name == "grpc-encoding") return RequestHeader::kEncoding;
      break;
    case 15:
      if (name == "accept-encoding") return RequestHeader::kIgnored;
      break;
    case 20:
      if (name == "grpc-accept-encoding") return RequestHeader::kIgnored;
      break;
    default:
      break;
  }
  return RequestHeader::kOther;
}

bool IsGrpcContentType(std::string_view value) {
  constexpr std::string_view kType = "application/grpc";
  if (value.substr(0, kType.size()) != kType) return false;
  return value.size() == kType.size() || value[kType.size()] == '+' || value[kType.size()] == ';';
}

nghttp2_nv StaticHeader(std::string_view name, std::string_view value) {
  return Header(name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
}

nghttp2_nv CopiedHeader(std::string_view name, std::string_view value) {
  return Header(name, value, NGHTTP2_NV_FLAG_NONE);
}

nghttp2_nv OneTimeHeader(std::string_view name, std::string_view value) {
  return Header(name, value, NGHTTP2_NV_FLAG_NO_INDEX);
}

}  // namespace keel::rpc::internal
