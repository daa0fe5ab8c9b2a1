// Plain HTTP on the server's port: what a handler gets and gives back.
//
//   server.SetHttpHandler([](rpc::HttpRequest request, rpc::HttpRespond respond) {
//     if (request.path == "/version") {
//       std::move(respond)({.content_type = "application/json", .body = kVersion});
//     } else {
//       std::move(respond)({.status = 404, .body = "404 page not found\n"});
//     }
//   });
//
// HTTP/1.1 requests and HTTP/2 requests that are not gRPC both arrive here.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace keel::rpc {

struct HttpRequest {
  std::string method;  // "GET"
  std::string target;  // as sent: "/health?serializable=true"
  std::string path;    // the target up to '?', not percent-decoded
  std::string query;   // the target after '?', without it
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string peer;  // "127.0.0.1:40112"

  // The first header of that (lower-case) name; empty when there is none.
  std::string_view Header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
};

// Answers the request. Call it once, from any thread, at any later time; a
// no-op when the client has gone. Dropped without a call it answers 500.
using HttpRespond = absl::AnyInvocable<void(HttpResponse) &&>;

}  // namespace keel::rpc
