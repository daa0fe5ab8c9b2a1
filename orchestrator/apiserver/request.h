// One request on its way through the server: what was asked, by whom, and the means to answer.
//
// Shared by the callbacks that its answer takes; answered once. Thread-safety: the server's loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "orchestrator/api/error.h"
#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/negotiation.h"
#include "orchestrator/apiserver/request_info.h"
#include "rpc/http.h"

namespace keel::orchestrator {

class Request {
 public:
  // `on_answer` is told the code, once.
  Request(rpc::HttpRequest request, rpc::HttpRespond respond, std::function<void(int)> on_answer)
      : http(std::move(request)), respond_(std::move(respond)), on_answer_(std::move(on_answer)) {}

  rpc::HttpRequest http;
  RequestInfo info{};
  OutputFormat format{};
  User user{};
  std::vector<std::string> warnings{};  // each a Warning header
  bool applies = false;                 // server-side apply keeps the owners of fields itself
  size_t decoding_warnings = 0;         // the first of them; a plan that runs again makes the rest

  // Whether the answer has begun.
  bool answered() const { return answered_; }

  void Send(int code, std::string_view content_type, std::string body);
  // In the negotiated form, when it is no object of a kind: a Status, discovery, ...
  void SendJson(int code, const json::value& value);
  // JSON that is ready: as it is, or as YAML or indented when that was asked for.
  void SendJsonBytes(int code, std::string bytes);
  void Fail(const absl::Status& status);
  // A page that cannot go on at its revision, with a token to go on at another.
  void FailWithContinue(const ApiError& error, const std::string& token);
  // The means to answer, for those who know nothing of requests. Nothing here answers any more.
  rpc::HttpRespond Take(int code);
  void Stream(std::string_view content_type, rpc::HttpStreamFactory factory);

 private:
  void Refuse(const ApiError& error, const json::value& body);
  rpc::HttpResponse HeadOf(int code, std::string_view content_type);

  rpc::HttpRespond respond_;
  std::function<void(int)> on_answer_;
  bool answered_ = false;
};
using RequestPtr = std::shared_ptr<Request>;

}  // namespace keel::orchestrator
