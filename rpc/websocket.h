// WebSocket (RFC 6455) on an upgraded HTTP/1.1 connection, by Boost.Beast.
//
//   if (rpc::WantsWebSocket(request)) {
//     return rpc::AcceptWebSocket(request, std::move(respond), {"v4.channel.k8s.io"},
//                                 [](rpc::WebSocketPtr socket) {
//                                   return std::make_shared<Shell>(std::move(socket));
//                                 });
//   }
//
// Messages are whole: fragments are joined, pings answered, the closing handshake done. A message
// larger than `max_message_bytes` closes the socket with 1009.
//
// Thread-safety: all on the connection's loop. Lifetime: the socket lives until OnEnd has returned
// and nobody holds its pointer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "rpc/http.h"

namespace keel::rpc {

class WebSocket {
 public:
  virtual ~WebSocket() = default;
  // Queues one message. Never blocks; see queued_bytes.
  virtual void Send(std::string message, bool text) = 0;
  // After what was sent. `code`: 1000 is the normal end (RFC 6455, section 7.4.1). Idempotent.
  virtual void Close(uint16_t code = 1000, std::string_view reason = {}) = 0;
  virtual size_t queued_bytes() const = 0;
  // Of the protocols offered the one that was chosen; empty when none fitted.
  virtual std::string_view protocol() const = 0;
};
using WebSocketPtr = std::shared_ptr<WebSocket>;

class WebSocketHandler {
 public:
  virtual ~WebSocketHandler() = default;
  virtual void OnMessage(std::string_view message, bool text) = 0;
  // All that was queued has been handed to the connection.
  virtual void OnWritable() {}
  // Exactly once and last: the socket is closed, by either side or by a failure.
  virtual void OnEnd() {}
};

using WebSocketFactory =
    absl::AnyInvocable<std::shared_ptr<WebSocketHandler>(WebSocketPtr socket) &&>;

struct WebSocketOptions {
  // What this server speaks, the one it likes best first. A client that offers protocols and none
  // of these is answered 400 when `protocol_required`.
  std::vector<std::string> protocols{};
  bool protocol_required = false;
  size_t max_message_bytes = 1024 * 1024;
};

bool WantsWebSocket(const HttpRequest& request);

// Answers the request with the handshake and calls the factory, or answers 400 and says why.
// REQUIRES: WantsWebSocket(request).
void AcceptWebSocket(const HttpRequest& request, HttpRespond respond, WebSocketOptions options,
                     WebSocketFactory factory);

}  // namespace keel::rpc
