// One HTTP/1.1 connection to one server: connects when first used, asks one thing at a time, and
// hands the answer over as it comes.
//
//   auto connection = std::make_shared<HttpConnection>(loop, target);
//   connection->Ask(user, head, body);
//
// Thread-safety: on its loop only. `user` must outlive the exchange or Close() the connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/asio_loop.h"
#include "base/tls/context.h"

namespace keel::orchestrator::internal {

struct HttpTarget {
  std::string host;
  uint16_t port = 0;
  std::string authority;                  // "host:port"
  std::shared_ptr<base::TlsContext> tls;  // null: plain
};

// "https://host:port", "http://[::1]:8080"; InvalidArgument otherwise. Leaves tls null.
absl::StatusOr<HttpTarget> ParseServer(std::string_view server, bool* secure);

class HttpConnection {
 public:
  class User {
   public:
    virtual ~User() = default;
    virtual void OnHead(int code) = 0;
    virtual void OnBody(std::string_view bytes) = 0;
    // The answer is whole; the connection can be asked again if `reusable`.
    virtual void OnDone(bool reusable) = 0;
    // The connection is closed. `sent`: the server may have got something of the request.
    virtual void OnFailed(const absl::Status& why, bool sent) = 0;
    // While nothing was asked.
    virtual void OnIdleClosed() {}
  };

  static std::shared_ptr<HttpConnection> Make(base::AsioLoop& loop, HttpTarget target);
  virtual ~HttpConnection() = default;

  // REQUIRES: nothing is being asked. No callback comes from inside the call.
  virtual void Ask(User* user, std::string head, std::string body) = 0;
  // No callback follows.
  virtual void Close() = 0;
};

}  // namespace keel::orchestrator::internal
