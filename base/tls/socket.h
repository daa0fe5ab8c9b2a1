// A TCP socket of Asio that may carry TLS. Without it every operation is the
// socket's own; with it bytes go through a TlsSession.
//
//   TlsSocket<boost::asio::any_io_executor> socket(context);
//   ... connect ...
//   socket.StartTls(context->NewSession(socket.native_handle(), host));
//   co_await socket.async_handshake(use_awaitable);   // socket.tls()->error() says what went wrong
//   co_await boost::asio::async_write(socket, buffers, use_awaitable);
//
// One read and one write may be under way at a time, as with any socket of
// Asio; with TLS, all on one thread. Whoever reads and writes by readiness
// (rpc) uses tls() itself.
#pragma once

#include <errno.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "base/tls/session.h"

namespace keel::base {

template <typename Executor>
class TlsSocket : public boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor> {
 public:
  using Base = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
  using Error = boost::system::error_code;
  using Base::Base;
  TlsSocket(Base&& plain) : Base(std::move(plain)) {}  // NOLINT: an accepted socket becomes one
  TlsSocket(TlsSocket&&) = default;

  // From now on. The socket becomes non-blocking.
  void StartTls(std::unique_ptr<TlsSession> session) {
    Error ignored;
    this->native_non_blocking(true, ignored);
    tls_ = std::move(session);
  }
  TlsSession* tls() const { return tls_.get(); }
  std::unique_ptr<TlsSession> TakeTls() { return std::move(tls_); }

  // REQUIRES: StartTls. Completes with connection_refused when the handshake fails.
  template <typename Token>
  auto async_handshake(Token&& token) {
    return boost::asio::async_compose<Token, void(Error)>(HandshakeOp{this}, token, *this);
  }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(Error, size_t)>(
        [this](auto&& handler, const Buffers& into) {
          using Handler = std::decay_t<decltype(handler)>;
          if (tls_ == nullptr) {
            return void(Base::async_read_some(into, std::forward<decltype(handler)>(handler)));
          }
          Handler moved(std::forward<decltype(handler)>(handler));
          boost::asio::async_compose<Handler, void(Error, size_t)>(
              ReadOp{this, *boost::asio::buffer_sequence_begin(into)}, moved, *this);
        },
        token, buffers);
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(Error, size_t)>(
        [this](auto&& handler, const Buffers& from) {
          using Handler = std::decay_t<decltype(handler)>;
          if (tls_ == nullptr) {
            return void(Base::async_write_some(from, std::forward<decltype(handler)>(handler)));
          }
          // Encrypted now: the bytes need not outlive the call.
          const size_t taken = this->is_open() ? Encrypt(from) : 0;
          Handler moved(std::forward<decltype(handler)>(handler));
          boost::asio::async_compose<Handler, void(Error, size_t)>(WriteOp{this, taken}, moved,
                                                                   *this);
        },
        token, buffers);
  }

 private:
  static constexpr size_t kWriteBytes = 256 * 1024;
  static constexpr size_t kRecordBytes = 16 * 1024;

  // What was taken. Small buffers that follow each other (a head and its body, the pieces of a
  // chunk) share a record: each one costs a call to encrypt here, and a wakeup to read there.
  template <typename Buffers>
  size_t Encrypt(const Buffers& from) {
    char gathered[kRecordBytes];
    size_t held = 0, taken = 0;
    for (auto it = boost::asio::buffer_sequence_begin(from);
         it != boost::asio::buffer_sequence_end(from) && taken < kWriteBytes; ++it) {
      const boost::asio::const_buffer part(*it);
      std::string_view bytes(static_cast<const char*>(part.data()),
                             std::min(part.size(), kWriteBytes - taken));
      taken += bytes.size();
      while (!bytes.empty()) {
        if (held == 0 && bytes.size() >= kRecordBytes) {
          tls_->Encrypt(bytes);
          break;
        }
        const size_t size = std::min(bytes.size(), kRecordBytes - held);
        std::memcpy(gathered + held, bytes.data(), size);
        bytes.remove_prefix(size);
        held += size;
        if (held == kRecordBytes) tls_->Encrypt({gathered, std::exchange(held, 0)});
      }
    }
    if (held > 0) tls_->Encrypt({gathered, held});
    return taken;
  }

  static Error FromErrno(int number) { return Error(number, boost::system::system_category()); }
  template <typename Self>
  static void Wait(TlsSocket* socket, bool readable, Self& self) {
    socket->async_wait(readable ? Base::wait_read : Base::wait_write, std::move(self));
  }

  // Each runs first inside the call that starts it, where it must not complete.
  struct HandshakeOp {
    TlsSocket* socket;
    bool started = false;

    template <typename Self>
    void operator()(Self& self, Error error = {}) {
      if (!std::exchange(started, true)) {
        return void(boost::asio::post(socket->get_executor(), std::move(self)));
      }
      if (!error && !socket->is_open()) error = boost::asio::error::operation_aborted;
      if (error) return self.complete(error);
      switch (socket->tls_->Handshake()) {
        case TlsSession::Result::kDone:
          return self.complete({});
        case TlsSession::Result::kWantRead:
          return Wait(socket, true, self);
        case TlsSession::Result::kWantWrite:
          return Wait(socket, false, self);
        case TlsSession::Result::kFailed:
          return self.complete(boost::asio::error::connection_refused);
      }
    }
  };

  struct ReadOp {
    TlsSocket* socket;
    boost::asio::mutable_buffer into;
    bool started = false;

    template <typename Self>
    void operator()(Self& self, Error error = {}) {
      if (!std::exchange(started, true)) {
        if (socket->is_open() && socket->tls_->HasPending()) {
          return void(boost::asio::post(socket->get_executor(), std::move(self)));
        }
        return Wait(socket, true, self);
      }
      if (!error && !socket->is_open()) error = boost::asio::error::operation_aborted;
      if (error) return self.complete(error, 0);
      if (into.size() == 0) return self.complete({}, 0);
      const ssize_t n = socket->tls_->Read(static_cast<char*>(into.data()), into.size());
      if (n > 0) return self.complete({}, static_cast<size_t>(n));
      if (n == 0) return self.complete(boost::asio::error::eof, 0);
      if (errno == EAGAIN) return Wait(socket, true, self);
      self.complete(FromErrno(errno), 0);
    }
  };

  struct WriteOp {
    TlsSocket* socket;
    size_t taken;
    bool started = false;

    template <typename Self>
    void operator()(Self& self, Error error = {}) {
      const bool first = !std::exchange(started, true);
      if (!error && !socket->is_open()) error = boost::asio::error::operation_aborted;
      if (!error) {
        size_t written = 0;
        switch (socket->tls_->Flush(&written)) {
          case TlsSession::Result::kDone:
            break;
          case TlsSession::Result::kFailed:
            error = FromErrno(errno);
            break;
          default:
            return Wait(socket, false, self);
        }
      }
      if (first) {
        return void(boost::asio::post(socket->get_executor(),
                                      [self = std::move(self), error, n = taken]() mutable {
                                        self.complete(error, error ? 0 : n);
                                      }));
      }
      self.complete(error, error ? 0 : taken);
    }
  };

  std::unique_ptr<TlsSession> tls_;
};

}  // namespace keel::base
