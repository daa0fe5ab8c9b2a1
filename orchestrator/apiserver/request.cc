#include "orchestrator/apiserver/request.h"

#include "base/strings.h"
#include "orchestrator/apiserver/yaml.h"

namespace keel::orchestrator {

namespace {

// Quoted text of a Warning header (RFC 7234, section 5.5).
std::string QuotedText(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

}  // namespace

rpc::HttpResponse Request::HeadOf(int code, std::string_view content_type) {
  answered_ = true;
  if (on_answer_) std::exchange(on_answer_, nullptr)(code);
  rpc::HttpResponse response;
  response.status = code;
  response.content_type = std::string(content_type);
  response.headers.emplace_back("cache-control", "no-cache, private");
  for (const std::string& warning : warnings) {
    response.headers.emplace_back("warning", base::StrCat("299 - ", QuotedText(warning)));
  }
  return response;
}

void Request::Send(int code, std::string_view content_type, std::string body) {
  if (answered_) return;
  rpc::HttpResponse response = HeadOf(code, content_type);
  response.body = std::move(body);
  std::move(respond_)(std::move(response));
}

void Request::SendJson(int code, const json::value& value) {
  if (format.yaml) return Send(code, kYamlType, ToYaml(value));
  Send(code, kJsonType, format.pretty ? ToPrettyJson(value) : ToJson(value));
}

void Request::SendJsonBytes(int code, std::string bytes) {
  if (!format.yaml && !format.pretty) return Send(code, kJsonType, std::move(bytes));
  auto value = ParseJson(bytes);
  if (!value.ok()) return Fail(value.status());
  SendJson(code, *value);
}

void Request::Fail(const absl::Status& status) {
  const ApiError error = ApiErrorOf(status);
  Refuse(error, error.ToJson());
}

void Request::FailWithContinue(const ApiError& error, const std::string& token) {
  json::object body = error.ToJson();
  body["metadata"] = json::object{{"continue", token}};
  Refuse(error, body);
}

void Request::Refuse(const ApiError& error, const json::value& body) {
  if (answered_) return;
  rpc::HttpResponse response = HeadOf(error.code, format.yaml ? kYamlType : kJsonType);
  if (const int64_t seconds = IntAt(error.details, {"retryAfterSeconds"}); seconds > 0) {
    response.headers.emplace_back("retry-after", base::StrCat(seconds));
  }
  response.body = format.yaml ? ToYaml(body) : ToJson(body) + "\n";
  std::move(respond_)(std::move(response));
}

rpc::HttpRespond Request::Take(int code) {
  (void)HeadOf(code, kJsonType);
  return std::move(respond_);
}

void Request::Stream(std::string_view content_type, rpc::HttpStreamFactory factory) {
  if (answered_) return;
  std::move(respond_).Stream(HeadOf(200, content_type), std::move(factory));
}

}  // namespace keel::orchestrator
