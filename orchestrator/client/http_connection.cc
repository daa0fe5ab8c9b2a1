#include "orchestrator/client/http_connection.h"

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "base/tls/socket.h"

namespace keel::orchestrator::internal {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using base::StrCat;
using Error = boost::system::error_code;
using boost::beast::string_view;

constexpr size_t kReadBytes = 32 * 1024;
constexpr base::Duration kConnectTimeout = std::chrono::seconds(5);

// Beast's parser, with what it reads handed on at once.
class AnswerParser final : public http::basic_parser<false> {
 public:
  explicit AnswerParser(HttpConnection::User*& user) : user_(user) {
    eager(true);
    body_limit(boost::none);
    header_limit(64 * 1024);
  }

 private:
  void on_request_impl(http::verb, string_view, string_view, int, Error&) override {}
  void on_response_impl(int code, string_view, int, Error&) override { code_ = code; }
  void on_field_impl(http::field, string_view, string_view, Error&) override {}
  void on_header_impl(Error&) override {
    if (user_ != nullptr) user_->OnHead(code_);
  }
  void on_body_init_impl(const boost::optional<uint64_t>&, Error&) override {}
  size_t on_body_impl(string_view body, Error&) override { return Give(body); }
  void on_chunk_header_impl(uint64_t, string_view, Error&) override {}
  size_t on_chunk_body_impl(uint64_t, string_view body, Error&) override { return Give(body); }
  void on_finish_impl(Error&) override {}

  size_t Give(string_view body) {
    if (user_ != nullptr && !body.empty()) user_->OnBody({body.data(), body.size()});
    return body.size();
  }

  HttpConnection::User*& user_;
  int code_ = 0;
};

class Connection final : public HttpConnection, public std::enable_shared_from_this<Connection> {
 public:
  Connection(base::AsioLoop& loop, HttpTarget target)
      : target_(std::move(target)),
        resolver_(loop.context()),
        socket_(loop.context()),
        timer_(loop.context()) {}

  void Ask(User* user, std::string head, std::string body) override {
    KEEL_CHECK(user_ == nullptr && !closed_);
    user_ = user;
    last_user_ = user;
    head_ = std::move(head);
    body_ = std::move(body);
    sent_ = false;
    parser_.emplace(user_);
    if (connected_) return Send();
    Connect();
  }

  void Close() override {
    if (std::exchange(closed_, true)) return;
    user_ = last_user_ = nullptr;
    resolver_.cancel();
    timer_.cancel();
    if (connected_ && socket_.tls() != nullptr) socket_.tls()->SayGoodbye();
    Error ignored;
    socket_.close(ignored);
  }

 private:
  using Socket = base::TlsSocket<asio::io_context::executor_type>;

  void Connect() {
    timer_.expires_after(kConnectTimeout);
    timer_.async_wait([self = shared_from_this()](Error error) {
      if (!error && !self->connected_) self->Fail("connection timed out");
    });
    Error not_address;
    const auto address = asio::ip::make_address(target_.host, not_address);
    if (!not_address) {
      return Dial(tcp::resolver::results_type::create(tcp::endpoint(address, target_.port),
                                                      target_.host, ""));
    }
    resolver_.async_resolve(target_.host, std::to_string(target_.port),
                            [self = shared_from_this()](Error error, auto found) {
                              if (self->closed_) return;
                              if (error) return self->Fail(error.message());
                              self->Dial(std::move(found));
                            });
  }

  void Dial(tcp::resolver::results_type found) {
    asio::async_connect(static_cast<Socket::Base&>(socket_), found,
                        [self = shared_from_this()](Error error, const tcp::endpoint&) {
                          if (self->closed_) return;
                          if (error) return self->Fail(error.message());
                          self->Dialled();
                        });
  }

  void Dialled() {
    Error ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    socket_.set_option(asio::socket_base::keep_alive(true), ignored);
    if (target_.tls == nullptr) return Ready();
    socket_.StartTls(target_.tls->NewSession(socket_.native_handle(), target_.host));
    socket_.async_handshake([self = shared_from_this()](Error error) {
      if (self->closed_) return;
      if (!error) return self->Ready();
      const std::string& why = self->socket_.tls()->error();
      self->Fail(why.empty() ? error.message() : why);
    });
  }

  void Ready() {
    connected_ = true;
    timer_.cancel();
    Read();
    Send();
  }

  void Send() {
    sent_ = true;
    const std::array<asio::const_buffer, 2> parts{asio::buffer(head_), asio::buffer(body_)};
    asio::async_write(socket_, parts, [self = shared_from_this()](Error error, size_t) {
      // A server that refuses early may still have an answer to be read.
      if (error && !self->closed_) self->write_failed_ = true;
    });
  }

  // Always one read is under way, so that an idle connection is known to be dead when it is.
  void Read() {
    if (buffer_.size() - end_ < kReadBytes / 2) {
      if (begin_ > 0) buffer_.erase(0, begin_);
      end_ -= std::exchange(begin_, 0);
      buffer_.resize(end_ + kReadBytes);
    }
    socket_.async_read_some(asio::buffer(buffer_.data() + end_, buffer_.size() - end_),
                            [self = shared_from_this()](Error error, size_t n) {
                              if (!self->closed_) self->OnRead(error, n);
                            });
  }

  void OnRead(Error error, size_t n) {
    if (user_ == nullptr) {
      User* last = last_user_;
      Close();
      if (last != nullptr) last->OnIdleClosed();
      return;
    }
    end_ += n;
    if (error) {
      Error ignored;
      if (error == asio::error::eof && parser_->got_some()) {
        parser_->put_eof(ignored);
        if (!ignored && parser_->is_done()) return Finish(false);
      }
      return Fail(write_failed_ ? "connection reset" : error.message());
    }
    while (begin_ < end_ && !parser_->is_done()) {
      Error parse_error;
      const size_t used =
          parser_->put(asio::const_buffer(buffer_.data() + begin_, end_ - begin_), parse_error);
      if (closed_) return;
      begin_ += used;
      if (parse_error == http::error::need_more) break;
      if (parse_error) return Fail(StrCat("malformed HTTP response: ", parse_error.message()));
      if (used == 0) break;
    }
    if (begin_ == end_) begin_ = end_ = 0;
    if (parser_->is_done()) {
      const bool reusable = parser_->keep_alive() && begin_ == end_ && !write_failed_;
      if (reusable) Read();
      return Finish(reusable);
    }
    Read();
  }

  void Finish(bool reusable) {
    User* user = std::exchange(user_, nullptr);
    if (!reusable) Close();
    user->OnDone(reusable);
  }

  void Fail(std::string_view why) {
    User* user = std::exchange(user_, nullptr);
    const bool sent = sent_;
    Close();
    if (user != nullptr) {
      user->OnFailed(absl::UnavailableError(StrCat(target_.authority, ": ", why)), sent);
    }
  }

  const HttpTarget target_;
  tcp::resolver resolver_;
  Socket socket_;
  asio::steady_timer timer_;
  User* user_ = nullptr;       // of the exchange under way
  User* last_user_ = nullptr;  // hears of the end of an idle connection
  std::string head_, body_;
  std::optional<AnswerParser> parser_;
  std::string buffer_;  // what is unread of it: [begin_, end_)
  size_t begin_ = 0, end_ = 0;
  bool connected_ = false, closed_ = false, sent_ = false, write_failed_ = false;
};

}  // namespace

absl::StatusOr<HttpTarget> ParseServer(std::string_view server, bool* secure) {
  HttpTarget target;
  std::string_view rest = server;
  if (rest.starts_with("https://")) {
    *secure = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    *secure = false;
    rest.remove_prefix(7);
  } else {
    return absl::InvalidArgumentError(
        StrCat("server \"", server, "\": must start with http:// or https://"));
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view host = rest;
  std::string_view port = *secure ? "443" : "80";
  const size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  char* end = nullptr;
  const std::string digits(port);
  const unsigned long number = std::strtoul(digits.c_str(), &end, 10);
  if (host.empty() || host.find('/') != std::string_view::npos || digits.empty() || *end != 0 ||
      number == 0 || number > 65535) {
    return absl::InvalidArgumentError(
        StrCat("server \"", server, "\": must be SCHEME://HOST:PORT"));
  }
  target.host = host;
  target.port = static_cast<uint16_t>(number);
  target.authority = rest;
  return target;
}

std::shared_ptr<HttpConnection> HttpConnection::Make(base::AsioLoop& loop, HttpTarget target) {
  return std::make_shared<Connection>(loop, std::move(target));
}

}  // namespace keel::orchestrator::internal
