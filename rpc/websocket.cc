#include "rpc/websocket.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/websocket.hpp>
#include <deque>
#include <utility>

#include "base/asio_loop.h"
#include "base/check.h"

namespace keel::rpc {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

// Beast's idea of a stream on what a ServerCall sends and receives. It is what Beast reads from and
// writes to, so it is movable and only points to the state.
class Pipe {
 public:
  using executor_type = asio::any_io_executor;
  using Callback = absl::AnyInvocable<void(error_code, size_t)>;

  struct State {
    explicit State(ServerCallPtr c, executor_type e) : call(std::move(c)), executor(std::move(e)) {}

    void Arrived(std::string_view bytes) {
      received.append(bytes);
      Deliver();
    }
    void Ended() {
      ended = true;
      Deliver();
    }
    // REQUIRES: one read at a time, as Beast promises.
    void Read(asio::mutable_buffer into, Callback done) {
      KEEL_CHECK(!reading);
      target = into;
      reading = std::move(done);
      Deliver();
    }
    void Deliver() {
      if (!reading || (received.empty() && !ended)) return;
      const size_t bytes = asio::buffer_copy(target, asio::buffer(received));
      received.erase(0, bytes);
      const error_code error =
          bytes == 0 && target.size() > 0 ? error_code(asio::error::eof) : error_code();
      // Never inside the call that asked.
      asio::post(executor, [done = std::exchange(reading, nullptr), error, bytes]() mutable {
        std::move(done)(error, bytes);
      });
    }

    ServerCallPtr call;
    executor_type executor;
    std::string received;
    bool ended = false;
    asio::mutable_buffer target;
    Callback reading = nullptr;
  };

  explicit Pipe(std::shared_ptr<State> state) : state_(std::move(state)) {}

  executor_type get_executor() const { return state_->executor; }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [state = state_](auto handler, const Buffers& into) {
          asio::mutable_buffer first;
          for (auto it = asio::buffer_sequence_begin(into); it != asio::buffer_sequence_end(into);
               ++it) {
            first = *it;
            if (first.size() > 0) break;
          }
          state->Read(first, std::move(handler));
        },
        token, buffers);
  }

  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(error_code, size_t)>(
        [state = state_](auto handler, const Buffers& from) {
          const size_t bytes = asio::buffer_size(from);
          const error_code error = state->ended ? asio::error::broken_pipe : error_code();
          if (!error && bytes > 0) {
            std::string copy(bytes, '\0');
            asio::buffer_copy(asio::buffer(copy), from);
            state->call->Send(std::move(copy));
          }
          asio::post(state->executor, [handler = std::move(handler), error, bytes]() mutable {
            std::move(handler)(error, error ? 0 : bytes);
          });
        },
        token, buffers);
  }

  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

// What Beast calls, found by argument-dependent lookup, to end the transport.
template <typename Handler>
void async_teardown(beast::role_type, Pipe& pipe, Handler&& handler) {
  pipe.state()->call->Finish(absl::OkStatus());
  asio::post(pipe.state()->executor,
             [handler = std::forward<Handler>(handler)]() mutable { handler(error_code()); });
}
void beast_close_socket(Pipe& pipe) { pipe.state()->call->Finish(absl::OkStatus()); }

class Session final : public WebSocket, public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Pipe::State> pipe, std::string protocol, size_t max_message_bytes)
      : pipe_(std::move(pipe)), stream_(Pipe(pipe_)), protocol_(std::move(protocol)) {
    stream_.read_message_max(max_message_bytes);
    stream_.auto_fragment(false);
  }

  void Start(http::request<http::empty_body> request, WebSocketFactory factory) {
    stream_.set_option(beast::websocket::stream_base::decorator(
        [protocol = protocol_](beast::websocket::response_type& response) {
          if (!protocol.empty()) response.set(http::field::sec_websocket_protocol, protocol);
        }));
    auto asked = std::make_shared<http::request<http::empty_body>>(std::move(request));
    stream_.async_accept(*asked, [self = shared_from_this(), asked,
                                  factory = std::move(factory)](error_code error) mutable {
      if (error) return self->End();  // Beast has answered with what is wrong.
      auto handler = std::move(factory)(self);
      if (self->ended_) {
        if (handler != nullptr) handler->OnEnd();
        return;
      }
      self->handler_ = std::move(handler);
      self->accepted_ = true;
      self->Write();
      self->Read();
    });
  }

  void Send(std::string message, bool text) override {
    if (ended_ || closing_) return;
    queued_bytes_ += message.size();
    queue_.push_back({std::move(message), text});
    Write();
  }

  void Close(uint16_t code, std::string_view reason) override {
    if (ended_ || std::exchange(closing_, true)) return;
    reason_ = {static_cast<beast::websocket::close_code>(code),
               beast::string_view(reason.data(), std::min<size_t>(reason.size(), 123))};
    Write();
  }

  size_t queued_bytes() const override { return queued_bytes_ + pipe_->call->queued_bytes(); }
  std::string_view protocol() const override { return protocol_; }

  // The connection has gone.
  void Lost() {
    pipe_->Ended();
    End();
  }

 private:
  struct Outgoing {
    std::string bytes;
    bool text = false;
  };

  void Read() {
    stream_.async_read(incoming_, [self = shared_from_this()](error_code error, size_t) {
      if (error) return self->End();
      const auto data = self->incoming_.cdata();
      const auto handler = self->handler_;
      if (handler != nullptr) {
        handler->OnMessage({static_cast<const char*>(data.data()), data.size()},
                           self->stream_.got_text());
      }
      self->incoming_.consume(self->incoming_.size());
      if (!self->ended_) self->Read();
    });
  }

  void Write() {
    if (writing_ || !accepted_ || ended_) return;
    if (queue_.empty()) {
      if (!closing_ || std::exchange(close_sent_, true)) return;
      stream_.async_close(reason_, [self = shared_from_this()](error_code) { self->End(); });
      return;
    }
    writing_ = true;
    current_ = std::move(queue_.front());
    queue_.pop_front();
    stream_.text(current_.text);
    stream_.async_write(asio::buffer(current_.bytes),
                        [self = shared_from_this()](error_code error, size_t) {
                          self->writing_ = false;
                          self->queued_bytes_ -= self->current_.bytes.size();
                          if (error) return self->End();
                          const auto handler = self->handler_;
                          if (self->queue_.empty() && handler != nullptr) handler->OnWritable();
                          self->Write();
                        });
  }

  void End() {
    if (std::exchange(ended_, true)) return;
    pipe_->call->Finish(absl::OkStatus());
    const auto handler = std::exchange(handler_, nullptr);
    if (handler != nullptr) handler->OnEnd();
  }

  const std::shared_ptr<Pipe::State> pipe_;
  beast::websocket::stream<Pipe> stream_;
  const std::string protocol_;
  std::shared_ptr<WebSocketHandler> handler_;
  beast::flat_buffer incoming_;
  std::deque<Outgoing> queue_;
  Outgoing current_;
  size_t queued_bytes_ = 0;
  beast::websocket::close_reason reason_;
  bool accepted_ = false, writing_ = false, closing_ = false, close_sent_ = false, ended_ = false;
};

// The upgraded connection's bytes, to the session.
class Feed final : public ServerStreamHandler {
 public:
  Feed(std::shared_ptr<Pipe::State> pipe, std::shared_ptr<Session> session)
      : pipe_(std::move(pipe)), session_(std::move(session)) {}
  void OnMessage(std::string_view bytes) override { pipe_->Arrived(bytes); }
  void OnHalfClose() override { pipe_->Ended(); }
  void OnEnd() override { session_->Lost(); }

 private:
  const std::shared_ptr<Pipe::State> pipe_;
  const std::shared_ptr<Session> session_;
};

// nullopt when the client offers some and none fits.
std::optional<std::string> ChooseProtocol(std::string_view offered,
                                          const std::vector<std::string>& ours) {
  if (offered.empty()) return std::string();
  http::token_list list(beast::string_view(offered.data(), offered.size()));
  for (const std::string& mine : ours) {
    if (list.exists(mine)) return mine;
  }
  return std::nullopt;
}

}  // namespace

bool WantsWebSocket(const HttpRequest& request) {
  const std::string_view upgrade = request.Header("upgrade");
  return request.method == "GET" &&
         beast::iequals(beast::string_view(upgrade.data(), upgrade.size()), "websocket");
}

void AcceptWebSocket(const HttpRequest& request, HttpRespond respond, WebSocketOptions options,
                     WebSocketFactory factory) {
  const auto protocol = ChooseProtocol(request.Header("sec-websocket-protocol"), options.protocols);
  if (!protocol && options.protocol_required) {
    return std::move(respond)(
        {.status = 400, .body = "none of the WebSocket protocols offered is spoken here\n"});
  }
  http::request<http::empty_body> asked;
  asked.method(http::verb::get);
  asked.version(11);
  asked.target(request.target);
  for (const auto& [name, value] : request.headers) asked.insert(name, value);
  std::move(respond).Upgrade([asked = std::move(asked), chosen = protocol.value_or(""),
                              max = options.max_message_bytes,
                              factory = std::move(factory)](ServerCallPtr call) mutable {
    // Streams of a listening server run on AsioLoops.
    auto& loop = static_cast<base::AsioLoop&>(call->loop());
    auto pipe = std::make_shared<Pipe::State>(std::move(call), loop.context().get_executor());
    auto session = std::make_shared<Session>(pipe, std::move(chosen), max);
    session->Start(std::move(asked), std::move(factory));
    return std::make_shared<Feed>(std::move(pipe), std::move(session));
  });
}

}  // namespace keel::rpc
