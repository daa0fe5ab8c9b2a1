// A gRPC server (HTTP/2, RFC 9113, with gRPC's own framing) that also answers
// plain HTTP on the same port, on one or more AsioLoops.
//
//   rpc::Server server({&io_loop});
//   server.RegisterUnary("/echo.Echo/Say", [](rpc::ServerCallPtr call) {
//     call->Reply(std::string(call->request()));
//   });
//   server.RegisterStream("/echo.Echo/Chat", [](rpc::ServerCallPtr call) {
//     return std::make_shared<ChatHandler>(std::move(call));
//   });
//   KEEL_ASSIGN_OR_RETURN(uint16_t port, server.Listen("127.0.0.1", 0));
//   ...
//   server.Stop();
//
// There are no stubs: a handler gets the bytes of a message and gives bytes
// back, and parses them as it likes.
//
// Threads: a connection lives on one loop, assigned round robin, and all
// callbacks of its calls run there; with several loops, handlers run on
// several threads at once. A loop may be shared with other components.
// Answers that queue up during one turn of a loop go out in one write per
// connection. Nothing blocks.
//
// Lifetime: the loops must outlive the Server. Register and set handlers
// before the first Listen.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/asio_loop.h"
#include "base/tls/context.h"
#include "rpc/http.h"
#include "rpc/message.h"
#include "rpc/server_call.h"

namespace keel::rpc {

namespace internal {
struct ServerRegistry;
struct ServerShared;
}  // namespace internal

struct ServerOptions {
  // A larger request message ends its call with ResourceExhausted.
  size_t max_request_bytes = 2 * 1024 * 1024;
  // Request headers of one call, names and values; more ends the call with
  // ResourceExhausted.
  uint32_t max_header_list_bytes = 64 * 1024;
  // Body of a plain HTTP request; more is answered 413, with `http_too_large` as the body.
  size_t max_http_body_bytes = 2 * 1024 * 1024;
  std::string http_too_large = "413 Request Entity Too Large";
  std::string http_too_large_type = "text/plain; charset=utf-8";
  uint32_t max_concurrent_streams = UINT32_MAX;  // per connection

  // Receive windows of flow control, at least 16 KiB.
  uint32_t stream_window_bytes = 1024 * 1024;
  uint32_t connection_window_bytes = 16 * 1024 * 1024;

  // Unary answers of one connection that wait for the client to read. Beyond
  // this, further requests of that connection wait their turn unhandled, and
  // beyond the same amount of waiting requests they get ResourceExhausted.
  size_t max_queued_bytes = 64 * 1024 * 1024;

  // A connection that was silent this long is sent a PING, and closed when
  // nothing comes back within the timeout. (etcd: --grpc-keepalive-interval,
  // --grpc-keepalive-timeout)
  base::Duration keepalive_interval = std::chrono::hours(2);
  base::Duration keepalive_timeout = std::chrono::seconds(20);
  // For the handshake of TLS and the first complete HTTP/2 preface, or HTTP/1
  // request, together; and between the requests of a kept-alive HTTP/1
  // connection.
  base::Duration handshake_timeout = std::chrono::seconds(10);
  base::Duration http_idle_timeout = std::chrono::seconds(120);

  // Floods: a connection may send this many frames that cause work without a
  // request (PING, SETTINGS, empty DATA), respectively RST_STREAMs,
  // in a burst; both allowances refill per second, and the first by one for
  // each frame of an answer (clients probe bandwidth with PINGs). Beyond that
  // the connection gets GOAWAY with ENHANCE_YOUR_CALM.
  uint32_t control_frame_burst = 10'000;
  uint32_t control_frames_per_second = 1'000;
  uint32_t reset_burst = 10'000;
  uint32_t resets_per_second = 1'000;
};

// Totals since the server was made, for metrics.
struct ServerStats {
  struct Method {
    std::string_view path;  // valid as long as the Server
    bool stream = false;
    uint64_t started = 0;
    uint64_t messages_received = 0;
    uint64_t messages_sent = 0;
    uint64_t handled[17] = {};  // by gRPC status code
  };
  uint64_t connections_open = 0;
  uint64_t connections_accepted = 0;
  uint64_t calls_open = 0;
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  uint64_t http_requests = 0;
  uint64_t connections_refused_as_flood = 0;
  uint64_t tls_handshakes = 0;
  uint64_t tls_handshakes_failed = 0;
  std::vector<Method> methods;  // in order of registration
};

class Server {
 public:
  // Called on a connection's loop with each complete request.
  using UnaryHandler = std::function<void(ServerCallPtr call)>;
  // Called when a stream's headers have arrived; messages follow. May return
  // null after it has called Finish.
  using StreamHandlerFactory =
      std::function<std::shared_ptr<ServerStreamHandler>(ServerCallPtr call)>;
  // Called on a connection's loop; see http.h.
  using HttpHandler = std::function<void(HttpRequest request, HttpRespond respond)>;
  // Whether the handler is to be called as soon as the request's head is there.
  using HttpStreamsBody = std::function<bool(const HttpRequest& head)>;

  // REQUIRES: at least one loop, unless it is only called in the same process
  // (local_channel.h) and never listens.
  explicit Server(std::vector<base::AsioLoop*> loops, ServerOptions options = {});
  ~Server();  // Stops.

  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // REQUIRES: Listen has not been called; the path is new and reads
  // "/package.Service/Method".
  void RegisterUnary(std::string path, UnaryHandler handler);
  void RegisterStream(std::string path, StreamHandlerFactory factory);
  // Without one, plain HTTP is answered 404. Where `streams_body` says so, a
  // request's body is not gathered but goes to the stream of its answer, without
  // the limit of max_http_body_bytes; until then, and while that stream pauses
  // reading, the client can send no more than what its windows hold.
  // REQUIRES: as above.
  void SetHttpHandler(HttpHandler handler, HttpStreamsBody streams_body = nullptr);

  // Accepts connections on host (a name or an address; "" means all) and port
  // (0: a free one), and returns the port. May be called for several
  // addresses. Resolving a name may block. Errors name the address: Unavailable
  // "listen 127.0.0.1:2379: address already in use", and others.
  // With `tls` (made for a server, with the protocols h2 and http/1.1) nothing but TLS is taken;
  // a connection whose handshake fails is closed, counted, and logged with the cause.
  absl::StatusOr<uint16_t> Listen(const std::string& host, uint16_t port,
                                  std::shared_ptr<base::TlsContext> tls = nullptr);

  // Accepts no more, lets the calls in progress end (clients are told by
  // GOAWAY to take new ones elsewhere) and then closes; what is left after
  // `limit` is cut off. `done` runs once, on the first loop.
  // Any thread; does not block.
  void Drain(base::Duration limit, absl::AnyInvocable<void()> done);

  // Closes everything at once; calls in progress are cancelled (their OnEnd
  // and OnCancel run before this returns). Idempotent. Blocks until every loop
  // has let go, unless called on that loop.
  // REQUIRES: each loop is running or was stopped.
  void Stop();

  // Any thread. The figures are each exact, but not all of one moment.
  ServerStats Stats() const;

 private:
  friend class LocalChannel;
  void Register(std::string path, UnaryHandler unary, StreamHandlerFactory stream);
  std::shared_ptr<const internal::ServerRegistry> registry() const;

  std::shared_ptr<internal::ServerShared> shared_;
};

}  // namespace keel::rpc
