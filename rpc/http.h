// Plain HTTP on the server's port: what a handler gets and gives back.
//
//   server.SetHttpHandler([](rpc::HttpRequest request, rpc::HttpRespond respond) {
//     if (request.path == "/version") {
//       std::move(respond)({.content_type = "application/json", .body = kVersion});
//     } else if (request.path == "/events") {
//       std::move(respond).Stream({.content_type = "application/json"},
//                                 [](rpc::ServerCallPtr call) {
//                                   return std::make_shared<EventWriter>(std::move(call));
//                                 });
//     } else {
//       std::move(respond)({.status = 404, .body = "404 page not found\n"});
//     }
//   });
//
// HTTP/1.1 requests and HTTP/2 requests that are not gRPC both arrive here.
//
// A streamed answer is a ServerCall as a gRPC stream is one (server_call.h): each Send is a piece
// of the body (one chunk of HTTP/1.1, DATA frames of HTTP/2), queued_bytes and OnWritable keep it
// bounded when the client reads slowly, Finish(OK) ends the body, and Finish with an error cuts it
// off after what was sent, so that the client can tell that it is not whole. OnEnd is told when the
// client has gone. What one turn of the loop sends goes out in one write.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "rpc/server_call.h"

namespace keel::base {
struct TlsSubject;  // base/tls/session.h
}

namespace keel::rpc {

struct HttpRequest {
  std::string method;  // "GET"
  std::string target;  // as sent: "/health?serializable=true"
  std::string path;    // the target up to '?', not percent-decoded
  std::string query;   // the target after '?', without it
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;  // empty when it is streamed (Server::SetHttpHandler)
  std::string peer;  // "127.0.0.1:40112"
  // Of the client, when it showed a certificate that was verified.
  std::shared_ptr<const base::TlsSubject> certificate{};

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

// Runs on the connection's loop once the head is on its way. OnMessage and OnHalfClose of the
// handler tell of the request's body, if that is streamed. May return null after Finish.
using HttpStreamFactory =
    absl::AnyInvocable<std::shared_ptr<ServerStreamHandler>(ServerCallPtr call) &&>;

namespace internal {
// The connection's side of an answer; called on its loop, one of the two, once.
class HttpAnswer {
 public:
  virtual ~HttpAnswer() = default;
  virtual void Respond(HttpResponse response) = 0;
  virtual void Stream(HttpResponse head, HttpStreamFactory factory) = 0;
  virtual void Upgrade(HttpStreamFactory factory) = 0;
};
struct HttpReply;
}  // namespace internal

// Answers the request: call one of the two once, from any thread, at any later time. A no-op when
// the client has gone (a factory is dropped uncalled then). Dropped without a call it answers 500.
class HttpRespond {
 public:
  explicit HttpRespond(std::unique_ptr<internal::HttpReply> reply);
  HttpRespond(HttpRespond&& other) noexcept;
  HttpRespond& operator=(HttpRespond&&) = delete;
  ~HttpRespond();

  void operator()(HttpResponse response) &&;
  // Answers with a head and then what the call sends. A HEAD request gets the head alone, and the
  // factory is not called. REQUIRES: head.body is empty.
  void Stream(HttpResponse head, HttpStreamFactory factory) &&;
  // Gives the HTTP/1.1 connection over to another protocol: what the call sends goes out as it is
  // and begins with the answer's own head (101 Switching Protocols), what the client sends from now
  // on comes to OnMessage as it arrives. The connection closes when the call has ended. A request
  // over HTTP/2 or HTTP/1.0 is answered 400, and the factory is not called.
  void Upgrade(HttpStreamFactory factory) &&;

 private:
  std::unique_ptr<internal::HttpReply> reply_;  // null once answered, and when moved from
};

}  // namespace keel::rpc
