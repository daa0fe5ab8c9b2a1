#include "rpc/http1_connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <optional>
#include <string>

#include "rpc/http_responder.h"
#include "rpc/linger.h"

namespace keel::rpc::internal {

namespace {

namespace http = boost::beast::http;

class Http1Connection final : public ServerMember,
                              public std::enable_shared_from_this<Http1Connection> {
 public:
  Http1Connection(std::shared_ptr<ServerLoop> loop, Socket socket)
      : loop_(std::move(loop)), peer_(PeerName(socket)), stream_(std::move(socket)) {}

  void Start(std::string_view first) {
    loop_->counters.connections_open.Add(1);
    loop_->Join(*this);
    const auto space = buffer_.prepare(first.size());
    boost::asio::buffer_copy(space, boost::asio::buffer(first.data(), first.size()));
    buffer_.commit(first.size());
    Read(loop_->registry->options.handshake_timeout);
  }

  void StartDrain() override {
    draining_ = true;
    if (!busy_) CloseNow();
  }

  void CloseNow() override {
    if (closed_) return;
    closed_ = true;
    ServerMember::unlink();
    loop_->counters.connections_open.Sub(1);
    stream_.close();
  }

 private:
  void Read(base::Duration limit) {
    busy_ = false;
    parser_.emplace();
    parser_->header_limit(loop_->registry->options.max_header_list_bytes);
    parser_->body_limit(loop_->registry->options.max_http_body_bytes);
    stream_.expires_after(limit);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](boost::system::error_code error, size_t bytes) {
                       self->OnRead(error, bytes);
                     });
  }

  void OnRead(boost::system::error_code error, size_t bytes) {
    if (closed_) return;
    loop_->counters.bytes_received.Add(bytes);
    stream_.expires_never();
    if (error == http::error::end_of_stream || error.category() != http_category()) {
      if (error) return CloseNow();
    }
    busy_ = true;
    loop_->counters.http_requests.Add(1);
    if (error) {
      keep_alive_ = false;
      version_ = 11;
      head_ = false;
      if (error == http::error::body_limit) {
        return Write({.status = 413, .body = "413 Request Entity Too Large"});
      }
      if (error == http::error::header_limit) {
        return Write({.status = 431, .body = "431 Request Header Fields Too Large"});
      }
      return Write({.status = 400, .body = "400 Bad Request"});
    }
    auto message = parser_->release();
    version_ = message.version();
    keep_alive_ = message.keep_alive();
    head_ = message.method() == http::verb::head;
    if (version_ == 11 && message.count(http::field::host) == 0) {  // RFC 9112, section 3.2
      keep_alive_ = false;
      return Write({.status = 400, .body = "400 Bad Request: missing required Host header"});
    }
    HttpRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    for (const auto& field : message) {
      std::string name(field.name_string());
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      request.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    request.body = std::move(message.body());
    request.peer = peer_;
    CallHttpHandler(*loop_->registry, std::move(request), loop_->mailbox,
                    [self = shared_from_this()](HttpResponse response) {
                      if (!self->closed_) self->Write(std::move(response));
                    });
  }

  void Write(HttpResponse response) {
    response_ = {};
    response_.version(version_);
    response_.result(static_cast<unsigned>(response.status));
    response_.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) response_.set(name, value);
    response_.keep_alive(keep_alive_ && !draining_);
    response_.content_length(response.body.size());
    if (!head_) response_.body() = std::move(response.body);
    // A client that does not read its answer is given up in the end.
    stream_.expires_after(loop_->registry->options.http_idle_timeout);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](boost::system::error_code error, size_t bytes) {
                        self->OnWritten(error, bytes);
                      });
  }

  void OnWritten(boost::system::error_code error, size_t bytes) {
    if (closed_) return;
    loop_->counters.bytes_sent.Add(bytes);
    if (!error && !response_.keep_alive()) {
      // What the client has sent beyond its request must not cost it the answer.
      PrepareSocket(stream_.socket());
      CloseLingering(stream_.release_socket());
    }
    if (error || !response_.keep_alive()) return CloseNow();
    Read(loop_->registry->options.http_idle_timeout);
  }

  static const boost::system::error_category& http_category() {
    static const boost::system::error_code any = http::error::bad_method;
    return any.category();
  }

  const std::shared_ptr<ServerLoop> loop_;
  const std::string peer_;
  boost::beast::basic_stream<boost::asio::ip::tcp, Socket::executor_type> stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool head_ = false;
  bool busy_ = false;  // a request is being answered
  bool draining_ = false;
  bool closed_ = false;
};

}  // namespace

void StartHttp1(std::shared_ptr<ServerLoop> loop, Socket socket, std::string_view first) {
  std::make_shared<Http1Connection>(std::move(loop), std::move(socket))->Start(first);
}

}  // namespace keel::rpc::internal
