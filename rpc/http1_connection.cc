#include "rpc/http1_connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <optional>
#include <string>

#include "base/strings.h"
#include "rpc/http1_stream.h"
#include "rpc/http_responder.h"
#include "rpc/linger.h"

namespace keel::rpc::internal {

namespace {

namespace http = boost::beast::http;
using boost::system::error_code;

constexpr size_t kReadBytes = 16 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

class Http1Connection final : public ServerMember,
                              public Http1Stream::Connection,
                              public DeadlineWheel::Entry,
                              public std::enable_shared_from_this<Http1Connection> {
 public:
  Http1Connection(std::shared_ptr<ServerLoop> loop, Socket socket)
      : loop_(std::move(loop)),
        peer_(std::make_shared<const ServerPeer>(ServerPeer{
            PeerName(socket), &loop_->io->loop(), loop_->mailbox, loop_->registry, std::nullopt,
            socket.tls() != nullptr ? socket.tls()->peer_subject() : nullptr})),
        socket_(std::move(socket)) {}

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
    const auto self = shared_from_this();
    Entry::Disarm();
    ServerMember::unlink();
    loop_->counters.connections_open.Sub(1);
    if (socket_.tls() != nullptr && socket_.is_open()) socket_.tls()->SayGoodbye();
    error_code ignored;
    socket_.close(ignored);
    if (const auto answer = std::exchange(answer_, nullptr)) answer->End(/*cancelled=*/true);
  }

 private:
  // What a request's HttpRespond leads to.
  class Answer final : public HttpAnswer {
   public:
    explicit Answer(std::shared_ptr<Http1Connection> connection)
        : connection_(std::move(connection)) {}
    void Respond(HttpResponse response) override {
      if (!connection_->closed_) connection_->Write(std::move(response));
    }
    void Stream(HttpResponse head, HttpStreamFactory factory) override {
      if (!connection_->closed_) connection_->StartStream(std::move(head), std::move(factory));
    }
    void Upgrade(HttpStreamFactory factory) override {
      if (!connection_->closed_) connection_->StartUpgrade(std::move(factory));
    }

   private:
    const std::shared_ptr<Http1Connection> connection_;
  };

  // ---- requests

  void Read(base::Duration limit) {
    busy_ = false;
    Entry::Disarm();
    whole_.reset();
    pieces_.reset();
    head_parser_.emplace();
    head_parser_->header_limit(loop_->registry->options.max_header_list_bytes);
    head_parser_->body_limit(boost::none);  // decided once the head is known
    Limit(limit);
    http::async_read_header(socket_, buffer_, *head_parser_,
                            [self = shared_from_this()](error_code error, size_t bytes) {
                              self->OnHead(error, bytes);
                            });
  }

  // Counts, and answers errors; false when there is nothing to go on with.
  bool Received(const error_code& error, size_t bytes) {
    if (closed_) return false;
    loop_->counters.bytes_received.Add(bytes);
    if (!error) return true;
    if (error == http::error::end_of_stream || error.category() != http_category()) {
      CloseNow();
      return false;
    }
    BeginAnswer();
    keep_alive_ = false;
    version_ = 11;
    head_ = false;
    if (error == http::error::body_limit) {
      const ServerOptions& options = loop_->registry->options;
      Write({.status = 413,
             .content_type = options.http_too_large_type,
             .body = options.http_too_large});
    } else if (error == http::error::header_limit) {
      Write({.status = 431, .body = "431 Request Header Fields Too Large"});
    } else {
      Write({.status = 400, .body = "400 Bad Request"});
    }
    return false;
  }

  void BeginAnswer() {
    Entry::Disarm();
    busy_ = true;
    loop_->counters.http_requests.Add(1);
  }

  void OnHead(error_code error, size_t bytes) {
    if (!Received(error, bytes)) return;
    const auto& message = head_parser_->get();
    version_ = message.version();
    keep_alive_ = message.keep_alive();
    head_ = message.method() == http::verb::head;
    if (version_ == 11 && message.count(http::field::host) == 0) {  // RFC 9112, section 3.2
      BeginAnswer();
      keep_alive_ = false;
      return Write({.status = 400, .body = "400 Bad Request: missing required Host header"});
    }
    request_ = {};
    request_.method = std::string(message.method_string());
    request_.target = std::string(message.target());
    SplitTarget(request_);
    for (const auto& field : message) {
      std::string name(field.name_string());
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      request_.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    request_.peer = peer_->name;
    request_.certificate = peer_->certificate;
    const bool streamed = StreamsBody(*loop_->registry, request_);
    const size_t limit = loop_->registry->options.max_http_body_bytes;
    if (!streamed && head_parser_->content_length().value_or(0) > limit) {
      return static_cast<void>(Received(http::error::body_limit, 0));
    }
    const bool asks = version_ == 11 && !head_parser_->is_done() && buffer_.size() == 0 &&
                      boost::beast::iequals(message[http::field::expect], "100-continue");
    if (streamed) {
      pieces_.emplace(std::move(*head_parser_));
    } else {
      whole_.emplace(std::move(*head_parser_));
      whole_->body_limit(limit);
    }
    if (!asks) return OnBodyWanted();
    boost::asio::async_write(socket_, boost::asio::buffer(kContinue.data(), kContinue.size()),
                             [self = shared_from_this()](error_code failed, size_t written) {
                               if (self->closed_) return;
                               self->loop_->counters.bytes_sent.Add(written);
                               if (failed) return self->CloseNow();
                               self->OnBodyWanted();
                             });
  }

  void OnBodyWanted() {
    if (pieces_) {
      BeginAnswer();
      return Dispatch();
    }
    if (whole_->is_done()) return OnBody({}, 0);
    http::async_read(socket_, buffer_, *whole_,
                     [self = shared_from_this()](error_code error, size_t bytes) {
                       self->OnBody(error, bytes);
                     });
  }

  void OnBody(error_code error, size_t bytes) {
    if (!Received(error, bytes)) return;
    BeginAnswer();
    request_.body = std::move(whole_->get().body());
    Dispatch();
  }

  void Dispatch() {
    CallHttpHandler(*loop_->registry, std::move(request_), loop_->mailbox,
                    std::make_unique<Answer>(shared_from_this()));
  }

  // ---- whole answers

  void Write(HttpResponse response) {
    if (pieces_ && !pieces_->is_done()) keep_alive_ = false;  // its body stays unread
    response_ = {};
    response_.version(version_);
    response_.result(static_cast<unsigned>(response.status));
    response_.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) response_.set(name, value);
    response_.keep_alive(keep_alive_ && !draining_);
    response_.content_length(response.body.size());
    if (!head_) response_.body() = std::move(response.body);
    // A client that does not read its answer is given up in the end.
    Limit(loop_->registry->options.http_idle_timeout);
    http::async_write(socket_, response_,
                      [self = shared_from_this()](error_code error, size_t bytes) {
                        if (self->closed_) return;
                        self->loop_->counters.bytes_sent.Add(bytes);
                        if (error) return self->CloseNow();
                        self->Answered(self->response_.keep_alive());
                      });
  }

  void Answered(bool keep) {
    if (keep) return Read(loop_->registry->options.http_idle_timeout);
    // What the client has sent beyond its request must not cost it the answer.
    if (socket_.tls() != nullptr) socket_.tls()->SayGoodbye();
    PrepareSocket(socket_);
    CloseLingering(std::move(socket_));
    CloseNow();
  }

  // ---- streamed answers

  void StartStream(HttpResponse head, HttpStreamFactory factory) {
    if (head_) return Write(std::move(head));
    const bool chunked = version_ >= 11;
    keep_alive_ = keep_alive_ && chunked && !draining_;
    std::string text = base::StrCat(
        "HTTP/1.1 ", head.status, " ",
        std::string_view(http::obsolete_reason(static_cast<http::status>(head.status))),
        "\r\nContent-Type: ", head.content_type, "\r\n",
        chunked ? "Transfer-Encoding: chunked\r\n" : "",
        keep_alive_ ? "" : "Connection: close\r\n");
    for (const auto& [name, value] : head.headers) text += base::StrCat(name, ": ", value, "\r\n");
    text += "\r\n";
    StartAnswer(chunked, pieces_.has_value(), std::move(text), std::move(factory));
    if (closed_) return;
    if (pieces_) {
      ReadPiece();
    } else {
      WatchClient();
    }
  }

  void StartUpgrade(HttpStreamFactory factory) {
    if (version_ < 11 || pieces_) return Write(NoUpgrade());
    keep_alive_ = false;
    upgraded_ = true;
    StartAnswer(/*chunked=*/false, /*streams_body=*/true, {}, std::move(factory));
    if (!closed_) ReadRaw();
  }

  void StartAnswer(bool chunked, bool streams_body, std::string head, HttpStreamFactory factory) {
    // A peer that vanishes without a word shows in the end.
    error_code ignored;
    socket_.set_option(boost::asio::socket_base::keep_alive(true), ignored);
    const auto answer = std::make_shared<Http1Stream>(shared_from_this(), chunked, streams_body);
    answer_ = answer;
    answer->Start(peer_, std::move(head), std::move(factory));
  }

  // Http1Stream::Connection:
  void OnOutput() override {
    // After what else this turn of the loop sends.
    boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->WriteSome(); });
  }
  void OnReadingResumed() override {
    if (pieces_) ReadPiece();
    if (upgraded_) ReadRaw();
  }

  void WriteSome() {
    if (closed_ || answer_ == nullptr) return;
    const auto& buffers = answer_->Take();
    if (buffers.empty()) {
      if (answer_->done()) EndStream();
      return;
    }
    boost::asio::async_write(
        socket_, buffers,
        [self = shared_from_this(), answer = answer_](error_code error, size_t bytes) {
          if (self->closed_) return;
          self->loop_->counters.bytes_sent.Add(bytes);
          if (error) return self->CloseNow();
          answer->Written();
          self->WriteSome();
        });
  }

  void EndStream() {
    const auto answer = std::exchange(answer_, nullptr);
    const bool keep =
        keep_alive_ && !answer->cut() && !draining_ && (!pieces_ || pieces_->is_done());
    answer->End(/*cancelled=*/false);
    if (closed_) return;
    if (!keep && answer->cut()) return CloseNow();
    if (!keep) return Answered(false);
    if (!watching_) return Answered(true);
    // The read that waits for the client's going away will bring the next request.
    busy_ = false;
    loop_->io->wheel().Arm(*this,
                           DeadlineWheel::Now() + loop_->registry->options.http_idle_timeout);
  }

  void OnDeadline() override { CloseNow(); }
  void Limit(base::Duration limit) { loop_->io->wheel().Arm(*this, DeadlineWheel::Now() + limit); }

  // Brings the next piece of a streamed body to the answer's stream.
  void ReadPiece() {
    if (reading_piece_ || answer_ == nullptr || !answer_->wants_body()) return;
    if (pieces_->is_done()) {
      answer_->BodyEnd();
      return WatchClient();
    }
    reading_piece_ = true;
    piece_.resize(kReadBytes);
    pieces_->get().body() = {piece_.data(), piece_.size(), true};
    http::async_read_some(socket_, buffer_, *pieces_,
                          [self = shared_from_this()](error_code error, size_t bytes) {
                            self->OnPiece(error, bytes);
                          });
  }

  void OnPiece(error_code error, size_t bytes) {
    reading_piece_ = false;
    if (closed_) return;
    loop_->counters.bytes_received.Add(bytes);
    if (error == http::error::need_buffer) error = {};
    if (error) return CloseNow();
    const auto answer = answer_;
    if (answer == nullptr) return;  // ended meanwhile
    const size_t size = piece_.size() - pieces_->get().body().size;
    answer->Body({piece_.data(), size});
    if (!closed_) ReadPiece();
  }

  // Brings what comes on an upgraded connection to the answer's stream.
  void ReadRaw() {
    if (reading_piece_ || closed_ || answer_ == nullptr || !answer_->wants_body()) return;
    reading_piece_ = true;
    if (buffer_.size() > 0) return OnRaw({}, 0);
    socket_.async_read_some(buffer_.prepare(kReadBytes),
                            [self = shared_from_this()](error_code error, size_t bytes) {
                              self->buffer_.commit(bytes);
                              self->OnRaw(error, bytes);
                            });
  }

  void OnRaw(error_code error, size_t bytes) {
    reading_piece_ = false;
    if (closed_) return;
    loop_->counters.bytes_received.Add(bytes);
    if (error) return CloseNow();
    const auto answer = answer_;
    if (answer == nullptr) return;  // ended meanwhile
    const auto data = buffer_.cdata();
    piece_.assign(static_cast<const char*>(data.data()), data.size());
    buffer_.consume(piece_.size());
    answer->Body(piece_);
    ReadRaw();
  }

  // The request is read: what comes now is the client's going away, or its next request, which
  // waits. (Behind that, only a write that fails tells of a client that has gone.)
  void WatchClient() {
    if (watching_ || closed_ || answer_ == nullptr || buffer_.size() > 0) return;
    watching_ = true;
    socket_.async_read_some(buffer_.prepare(kReadBytes),
                            [self = shared_from_this()](error_code error, size_t bytes) {
                              self->OnWatched(error, bytes);
                            });
  }

  void OnWatched(error_code error, size_t bytes) {
    watching_ = false;
    if (closed_) return;
    if (error) return CloseNow();
    loop_->counters.bytes_received.Add(bytes);
    buffer_.commit(bytes);
    if (answer_ != nullptr) return;  // EndStream goes on
    Read(loop_->registry->options.http_idle_timeout);
  }

  static const boost::system::error_category& http_category() {
    static const error_code any = http::error::bad_method;
    return any.category();
  }

  const std::shared_ptr<ServerLoop> loop_;
  const std::shared_ptr<const ServerPeer> peer_;
  Socket socket_;
  boost::beast::flat_buffer buffer_;
  // Of one request, one after the other: its head, and its body in one of two ways.
  std::optional<http::request_parser<http::empty_body>> head_parser_;
  std::optional<http::request_parser<http::string_body>> whole_;
  std::optional<http::request_parser<http::buffer_body>> pieces_;
  HttpRequest request_;
  std::string piece_;
  http::response<http::string_body> response_;
  std::shared_ptr<Http1Stream> answer_;  // streamed, in progress
  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool head_ = false;
  bool busy_ = false;  // a request is being answered
  bool watching_ = false;
  bool reading_piece_ = false;
  bool upgraded_ = false;  // to another protocol, for the rest of its life
  bool draining_ = false;
  bool closed_ = false;
};

}  // namespace

void StartHttp1(std::shared_ptr<ServerLoop> loop, Socket socket, std::string_view first) {
  std::make_shared<Http1Connection>(std::move(loop), std::move(socket))->Start(first);
}

}  // namespace keel::rpc::internal
