#include "rpc/status_codec.h"

#include <nghttp2/nghttp2.h>

#include <charconv>

#include "base/strings.h"

namespace keel::rpc::internal {

namespace {

bool IsPlain(char c) { return c >= 0x20 && c <= 0x7e && c != '%'; }

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string PercentEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (IsPlain(c)) {
      out += c;
    } else {
      const auto byte = static_cast<uint8_t>(c);
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

std::string PercentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexValue(text[i + 1]) >= 0 &&
        HexValue(text[i + 2]) >= 0) {
      out += static_cast<char>(HexValue(text[i + 1]) << 4 | HexValue(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

absl::Status StatusFromWire(std::string_view code, std::string_view encoded_message) {
  int value = -1;
  const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), value);
  if (error != std::errc() || end != code.data() + code.size() || value < 0 || value > 16) {
    value = static_cast<int>(absl::StatusCode::kUnknown);
  }
  if (value == 0) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(value), PercentDecode(encoded_message));
}

absl::Status StatusFromHttp(int http_status) {
  const std::string text =
      base::StrCat("unexpected HTTP status code received from server: ", http_status);
  switch (http_status) {
    case 400:
      return absl::InternalError(text);
    case 401:
      return absl::UnauthenticatedError(text);
    case 403:
      return absl::PermissionDeniedError(text);
    case 404:
      return absl::UnimplementedError(text);
    case 429:
    case 502:
    case 503:
    case 504:
      return absl::UnavailableError(text);
    default:
      return absl::UnknownError(text);
  }
}

absl::Status StatusFromReset(uint32_t http2_error_code) {
  const std::string text = base::StrCat("stream terminated by RST_STREAM with error code: ",
                                        nghttp2_http2_strerror(http2_error_code));
  switch (http2_error_code) {
    case NGHTTP2_REFUSED_STREAM:
      return absl::UnavailableError(text);
    case NGHTTP2_CANCEL:
      return absl::CancelledError(text);
    case NGHTTP2_ENHANCE_YOUR_CALM:
      return absl::ResourceExhaustedError(text);
    case NGHTTP2_INADEQUATE_SECURITY:
      return absl::PermissionDeniedError(text);
    default:
      return absl::InternalError(text);
  }
}

}  // namespace keel::rpc::internal
