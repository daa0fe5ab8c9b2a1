#include "kvstore/server/json_codec.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <memory>
#include <utility>

#include "base/strings.h"

namespace keel::kvstore {

namespace {

namespace proto = google::protobuf;

// A JSON string, quotes included.
std::string Quoted(std::string_view text) {
  proto::Value value;
  value.set_string_value(std::string(text));
  std::string json;
  if (!proto::util::MessageToJsonString(value, &json).ok()) return "\"\"";  // not UTF-8
  return json;
}

// Go's http.StatusText.
std::string_view HttpStatusText(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 429:
      return "Too Many Requests";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

}  // namespace

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kCancelled:
      return 408;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kFailedPrecondition:
      return 412;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    default:
      return 500;
  }
}

absl::StatusOr<std::string> ToWire(const proto::Message& prototype, std::string_view json) {
  const std::unique_ptr<proto::Message> message(prototype.New());
  if (json.find_first_not_of(" \t\r\n") != std::string_view::npos) {
    proto::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    const auto parsed = proto::util::JsonStringToMessage(
        proto::StringPiece(json.data(), json.size()), message.get(), options);
    if (!parsed.ok()) return absl::InvalidArgumentError(parsed.message().ToString());
  }
  return message->SerializeAsString();
}

absl::StatusOr<std::string> ToJson(const proto::Message& prototype, const std::string& wire) {
  const std::unique_ptr<proto::Message> message(prototype.New());
  std::string json;
  proto::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  if (!message->ParseFromString(wire) ||
      !proto::util::MessageToJsonString(*message, &json, options).ok()) {
    return absl::InternalError("a response that is not its message");
  }
  return json;
}

std::string ErrorJson(const absl::Status& status) {
  const std::string text = Quoted(base::ToStd(status.message()));
  return base::StrCat("{\"error\":", text, ",\"code\":", static_cast<int>(status.code()),
                      ",\"message\":", text, ",\"details\":[]}");
}

std::string StreamErrorJson(const absl::Status& status) {
  const int code = static_cast<int>(status.code());
  const int http = HttpStatusOf(status.code());
  return base::StrCat("{\"error\":{\"grpc_code\":", code, ",\"http_code\":", http,
                      ",\"message\":", Quoted(base::ToStd(status.message())), ",\"http_status\":\"",
                      HttpStatusText(http), "\",\"code\":", code, ",\"details\":[]}}");
}

void JsonValues::Feed(std::string_view bytes) {
  if (broken_) return;
  bytes_.erase(0, begin_);
  at_ -= begin_;
  begin_ = 0;
  bytes_.append(bytes);
}

std::optional<std::string> JsonValues::Next() {
  for (; !broken_ && at_ < bytes_.size(); ++at_) {
    const char c = bytes_[at_];
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '{' || c == '[') {
      broken_ = depth_ == 0 && c == '[';
      ++depth_;
    } else if (depth_ == 0) {
      broken_ = c != ' ' && c != '\t' && c != '\r' && c != '\n';
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '}' || c == ']') {
      if (--depth_ > 0) continue;
      const size_t begin = std::exchange(begin_, ++at_);
      return bytes_.substr(begin, at_ - begin);
    }
  }
  return std::nullopt;
}

}  // namespace keel::kvstore
