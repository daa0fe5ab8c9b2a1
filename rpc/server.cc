#include "rpc/server.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "rpc/run_on_loop.h"
#include "rpc/server_loop.h"

namespace keel::rpc {

namespace internal {

using boost::asio::ip::tcp;

namespace {

// An accepted connection on its way to another loop. A socket object would be
// of one loop and might be destroyed after it.
class Accepted {
 public:
  Accepted(int handle, tcp protocol) : handle_(handle), protocol_(protocol) {}
  Accepted(Accepted&& other) noexcept
      : handle_(std::exchange(other.handle_, -1)), protocol_(other.protocol_) {}
  ~Accepted() {
    if (handle_ >= 0) ::close(handle_);
  }

  Socket Take(boost::asio::io_context& context) {
    return {context, protocol_, std::exchange(handle_, -1)};
  }

 private:
  int handle_;
  tcp protocol_;
};

}  // namespace

// One listening socket; accepts on the first loop, for all of them in turn.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(ServerShared& shared, tcp::acceptor acceptor, std::shared_ptr<base::TlsContext> tls)
      : shared_(shared),
        acceptor_(std::move(acceptor)),
        tls_(std::move(tls)),
        retry_(acceptor_.get_executor()) {}

  void Accept();
  void Close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
  }

 private:
  ServerShared& shared_;  // lives until the listener is closed
  tcp::acceptor acceptor_;
  const std::shared_ptr<base::TlsContext> tls_;  // null: plain
  boost::asio::steady_timer retry_;
};

struct ServerShared {
  explicit ServerShared(std::vector<base::AsioLoop*> all, ServerOptions options)
      : asio_loops(std::move(all)), registry(std::make_shared<ServerRegistry>()) {
    registry->options = options;
  }

  ServerLoop& NextLoop() { return *loops[next_loop++ % loops.size()]; }

  const std::vector<base::AsioLoop*> asio_loops;
  const std::shared_ptr<ServerRegistry> registry;
  std::vector<std::shared_ptr<ServerLoop>> loops;  // made by the first Listen
  // Of the first loop:
  size_t next_loop = 0;
  std::vector<std::shared_ptr<Listener>> listeners;
  // Any thread:
  std::atomic<bool> stopped{false};
};

void Listener::Accept() {
  acceptor_.async_accept(
      shared_.asio_loops.front()->context(),
      [self = shared_from_this()](boost::system::error_code error, Socket socket) mutable {
        if (!self->acceptor_.is_open()) return;
        if (error) {
          // Most likely out of file descriptors: go on when some may be free.
          base::Log().warn("accept failed error={}", error.message());
          self->retry_.expires_after(std::chrono::milliseconds(100));
          self->retry_.async_wait([self](boost::system::error_code cancelled) {
            if (!cancelled && self->acceptor_.is_open()) self->Accept();
          });
          return;
        }
        const auto loop = self->shared_.NextLoop().shared_from_this();
        if (loop->io->loop().InLoop()) {
          loop->Accept(std::move(socket), self->tls_);
        } else {
          const tcp protocol = self->acceptor_.local_endpoint().protocol();
          boost::asio::post(
              loop->io->context(),
              [loop, tls = self->tls_, accepted = Accepted(socket.release(), protocol)]() mutable {
                loop->Accept(accepted.Take(loop->io->context()), tls);
              });
        }
        self->Accept();
      });
}

namespace {

absl::StatusOr<tcp::acceptor> Open(boost::asio::io_context& context, const std::string& host,
                                   uint16_t port) {
  const std::string name = HostPort(host, port);
  const auto failed = [&](const boost::system::error_code& error) {
    std::string text = error.message();
    if (error == boost::asio::error::address_in_use) text = "address already in use";
    const auto code = error == boost::asio::error::access_denied
                          ? absl::StatusCode::kPermissionDenied
                          : absl::StatusCode::kUnavailable;
    return absl::Status(code, base::StrCat("listen ", name, ": ", text));
  };
  boost::system::error_code error;
  tcp::endpoint endpoint;
  if (host.empty()) {
    endpoint = tcp::endpoint(tcp::v6(), port);  // IPv4 too
  } else {
    tcp::resolver resolver(context);
    const auto found = resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
    if (error) return failed(error);
    endpoint = found.begin()->endpoint();
    // "localhost" means 127.0.0.1 to most clients.
    for (const auto& entry : found) {
      if (entry.endpoint().protocol() == tcp::v4()) {
        endpoint = entry.endpoint();
        break;
      }
    }
  }
  tcp::acceptor acceptor(context);
  acceptor.open(endpoint.protocol(), error);
  if (error && host.empty()) {  // a machine without IPv6
    endpoint = tcp::endpoint(tcp::v4(), port);
    acceptor.open(endpoint.protocol(), error);
  }
  if (error) return failed(error);
  if (endpoint.protocol() == tcp::v6()) {
    acceptor.set_option(boost::asio::ip::v6_only(!host.empty()), error);
  }
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  acceptor.bind(endpoint, error);
  if (error) return failed(error);
  acceptor.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) return failed(error);
  return acceptor;
}

}  // namespace
}  // namespace internal

using internal::ServerLoop;
using internal::ServerMethod;

Server::Server(std::vector<base::AsioLoop*> loops, ServerOptions options)
    : shared_(std::make_shared<internal::ServerShared>(std::move(loops), options)) {}

Server::~Server() { Stop(); }

void Server::RegisterUnary(std::string path, UnaryHandler handler) {
  Register(std::move(path), std::move(handler), nullptr);
}

void Server::RegisterStream(std::string path, StreamHandlerFactory factory) {
  Register(std::move(path), nullptr, std::move(factory));
}

void Server::Register(std::string path, UnaryHandler unary, StreamHandlerFactory stream) {
  KEEL_CHECK(shared_->loops.empty(), "register before Listen path=", path);
  const size_t slash = path.rfind('/');
  KEEL_CHECK(path.size() > 3 && path[0] == '/' && slash > 1 && slash != std::string::npos,
             "path=", path);
  internal::ServerRegistry& registry = *shared_->registry;
  auto method = std::make_unique<ServerMethod>();
  method->path = path;
  method->index = registry.methods_in_order.size();
  method->unary = std::move(unary);
  method->stream = std::move(stream);
  registry.methods_in_order.push_back(method.get());
  ++registry.services[path.substr(1, slash - 1)];
  KEEL_CHECK(registry.methods.emplace(path, std::move(method)).second, "twice path=", path);
}

void Server::SetHttpHandler(HttpHandler handler, HttpStreamsBody streams_body) {
  KEEL_CHECK(shared_->loops.empty(), "set before Listen");
  shared_->registry->http_handler = std::move(handler);
  shared_->registry->http_streams_body = std::move(streams_body);
}

absl::StatusOr<uint16_t> Server::Listen(const std::string& host, uint16_t port,
                                        std::shared_ptr<base::TlsContext> tls) {
  KEEL_CHECK(!shared_->stopped.load() && !shared_->asio_loops.empty());
  auto acceptor = internal::Open(shared_->asio_loops[0]->context(), host, port);
  if (!acceptor.ok()) return acceptor.status();
  if (shared_->loops.empty()) {
    for (base::AsioLoop* loop : shared_->asio_loops) {
      shared_->loops.push_back(std::make_shared<ServerLoop>(*loop, shared_->registry));
    }
  }
  const uint16_t bound = acceptor->local_endpoint().port();
  auto listener =
      std::make_shared<internal::Listener>(*shared_, *std::move(acceptor), std::move(tls));
  shared_->asio_loops[0]->Dispatch([shared = shared_, listener] {
    if (shared->stopped.load()) return listener->Close();
    shared->listeners.push_back(listener);
    listener->Accept();
  });
  return bound;
}

namespace {

void CloseListeners(internal::ServerShared& shared) {
  for (const auto& listener : shared.listeners) listener->Close();
  shared.listeners.clear();
}

// Waits for every connection of a draining server to be gone.
struct DrainWatch : std::enable_shared_from_this<DrainWatch> {
  DrainWatch(std::shared_ptr<internal::ServerShared> server, base::Duration limit,
             absl::AnyInvocable<void()> when_done)
      : shared(std::move(server)),
        timer(shared->asio_loops[0]->context()),
        until(std::chrono::steady_clock::now() + limit),
        done(std::move(when_done)) {}

  void Look() {
    uint64_t open = 0;
    for (const auto& loop : shared->loops) open += loop->counters.connections_open.Get();
    const auto now = std::chrono::steady_clock::now();
    if (open > 0 && now < until && !shared->stopped.load()) {
      timer.expires_at(std::min(until, now + std::chrono::milliseconds(10)));
      timer.async_wait([self = shared_from_this()](boost::system::error_code) { self->Look(); });
      return;
    }
    for (const auto& loop : shared->loops) {
      loop->io->loop().Dispatch([loop] { loop->CloseAll(); });
    }
    done();
  }

  const std::shared_ptr<internal::ServerShared> shared;
  boost::asio::steady_timer timer;
  const std::chrono::steady_clock::time_point until;
  absl::AnyInvocable<void()> done;
};

}  // namespace

void Server::Drain(base::Duration limit, absl::AnyInvocable<void()> done) {
  auto watch = std::make_shared<DrainWatch>(shared_, limit, std::move(done));
  shared_->asio_loops[0]->Dispatch([watch] {
    CloseListeners(*watch->shared);
    for (const auto& loop : watch->shared->loops) {
      loop->io->loop().Dispatch([loop] { loop->StartDrain(); });
    }
    boost::asio::post(watch->shared->asio_loops[0]->context(), [watch] { watch->Look(); });
  });
}

void Server::Stop() {
  if (shared_->stopped.exchange(true)) return;
  if (shared_->loops.empty()) return;  // never listened
  internal::RunOnLoop(*shared_->asio_loops[0], [this] { CloseListeners(*shared_); });
  for (const auto& loop : shared_->loops) {
    internal::RunOnLoop(loop->io->loop(), [&] { loop->CloseAll(); });
  }
}

std::shared_ptr<const internal::ServerRegistry> Server::registry() const {
  return shared_->registry;
}

ServerStats Server::Stats() const {
  ServerStats stats;
  for (const ServerMethod* method : shared_->registry->methods_in_order) {
    stats.methods.push_back({.path = method->path, .stream = method->stream != nullptr});
  }
  for (const auto& loop : shared_->loops) {
    const internal::ServerCounters& counters = loop->counters;
    stats.connections_open += counters.connections_open.Get();
    stats.connections_accepted += counters.connections_accepted.Get();
    stats.calls_open += counters.calls_open.Get();
    stats.bytes_received += counters.bytes_received.Get();
    stats.bytes_sent += counters.bytes_sent.Get();
    stats.http_requests += counters.http_requests.Get();
    stats.connections_refused_as_flood += counters.floods.Get();
    stats.tls_handshakes += counters.tls_handshakes.Get();
    stats.tls_handshakes_failed += counters.tls_handshakes_failed.Get();
    for (size_t i = 0; i < stats.methods.size(); ++i) {
      const internal::MethodCounters& from = counters.methods[i];
      ServerStats::Method& to = stats.methods[i];
      to.started += from.started.Get();
      to.messages_received += from.messages_received.Get();
      to.messages_sent += from.messages_sent.Get();
      for (size_t code = 0; code < std::size(to.handled); ++code) {
        to.handled[code] += from.handled[code].Get();
      }
    }
  }
  return stats;
}

}  // namespace keel::rpc
