// WebSockets and upgraded connections, driven by Beast's own client and by raw bytes.
#include "rpc/websocket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <thread>

#include "base/asio_loop.h"
#include "rpc/raw_socket.h"
#include "rpc/server.h"

namespace keel::rpc {
namespace {

using ::testing::HasSubstr;
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;

std::atomic<int> ended = 0;

// Sends back what it gets; "burst" gets ten thousand messages, "bye" the end.
class Echo final : public WebSocketHandler {
 public:
  explicit Echo(WebSocketPtr socket) : socket_(std::move(socket)) {}
  void OnMessage(std::string_view message, bool text) override {
    if (message == "bye") return socket_->Close(1000, "as asked");
    if (message == "protocol") return socket_->Send(std::string(socket_->protocol()), true);
    if (message == "burst") {
      for (int i = 0; i < 10'000; ++i) socket_->Send(std::to_string(i), true);
      return;
    }
    socket_->Send(std::string(message), text);
  }
  void OnEnd() override { ++ended; }

 private:
  const WebSocketPtr socket_;
};

// Raw bytes, in capitals.
class Shout final : public ServerStreamHandler {
 public:
  explicit Shout(ServerCallPtr call) : call_(std::move(call)) {
    call_->Send(std::string("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
  }
  void OnMessage(std::string_view bytes) override {
    std::string loud;
    for (char c : bytes) loud += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    call_->Send(loud);
    if (loud.ends_with(".")) call_->Finish(absl::OkStatus());
  }

 private:
  const ServerCallPtr call_;
};

class WebSocketTest : public ::testing::Test {
 protected:
  WebSocketTest() {
    ended = 0;
    loop_.Start();
    server_.SetHttpHandler([](HttpRequest request, HttpRespond respond) {
      if (request.path == "/shout") {
        return std::move(respond).Upgrade(
            [](ServerCallPtr call) { return std::make_shared<Shout>(std::move(call)); });
      }
      if (!WantsWebSocket(request)) return std::move(respond)({.status = 404});
      AcceptWebSocket(
          request, std::move(respond),
          {.protocols = {"v5.channel.k8s.io", "v4.channel.k8s.io"},
           .protocol_required = request.path == "/strict",
           .max_message_bytes = 100'000},
          [](WebSocketPtr socket) { return std::make_shared<Echo>(std::move(socket)); });
    });
    port_ = server_.Listen("127.0.0.1", 0).value();
  }
  ~WebSocketTest() override {
    server_.Stop();
    loop_.Stop();
  }

  using Client = websocket::stream<asio::ip::tcp::socket>;
  std::unique_ptr<Client> Connect(std::string protocols = "", std::string target = "/",
                                  error_code* error = nullptr) {
    auto client = std::make_unique<Client>(context_);
    client->next_layer().connect({asio::ip::make_address("127.0.0.1"), port_});
    if (!protocols.empty()) {
      client->set_option(
          websocket::stream_base::decorator([protocols](websocket::request_type& request) {
            request.set(beast::http::field::sec_websocket_protocol, protocols);
          }));
    }
    if (error != nullptr) {
      client->handshake("t", target, *error);
    } else {
      client->handshake("t", target);
    }
    return client;
  }
  static std::string Read(Client& client) {
    beast::flat_buffer buffer;
    client.read(buffer);
    return beast::buffers_to_string(buffer.data());
  }

  asio::io_context context_;
  base::AsioLoop loop_{"server"};
  Server server_{{&loop_}};
  uint16_t port_ = 0;
};

TEST_F(WebSocketTest, MessagesTravelWholeBothWays) {
  auto client = Connect();
  client->text(true);
  client->write(asio::buffer(std::string("hello")));
  EXPECT_EQ(Read(*client), "hello");
  EXPECT_TRUE(client->got_text());
  client->binary(true);
  std::string big(90'000, '\0');
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 7);
  client->auto_fragment(true);
  client->write_buffer_bytes(1000);
  client->write(asio::buffer(big));
  EXPECT_EQ(Read(*client), big);
  EXPECT_FALSE(client->got_text());
  client->write(asio::buffer(std::string()));
  EXPECT_EQ(Read(*client), "");
}

TEST_F(WebSocketTest, ABurstArrivesInOrder) {
  auto client = Connect();
  client->write(asio::buffer(std::string("burst")));
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(Read(*client), std::to_string(i));
}

TEST_F(WebSocketTest, TheProtocolTheServerLikesBestIsChosen) {
  auto client = Connect("v4.channel.k8s.io, v5.channel.k8s.io");
  client->write(asio::buffer(std::string("protocol")));
  EXPECT_EQ(Read(*client), "v5.channel.k8s.io");
  client = Connect("base64.binary.k8s.io");
  client->write(asio::buffer(std::string("protocol")));
  EXPECT_EQ(Read(*client), "");
  error_code error;
  Connect("base64.binary.k8s.io", "/strict", &error);
  EXPECT_EQ(error, websocket::error::upgrade_declined);
}

TEST_F(WebSocketTest, EitherSideCloses) {
  auto client = Connect();
  client->write(asio::buffer(std::string("bye")));
  beast::flat_buffer buffer;
  error_code error;
  client->read(buffer, error);
  EXPECT_EQ(error, websocket::error::closed);
  EXPECT_EQ(client->reason().code, websocket::close_code::normal);
  EXPECT_EQ(client->reason().reason, "as asked");
  client = Connect();
  client->close(websocket::close_code::normal, error);
  EXPECT_FALSE(error) << error.message();
  Connect();  // and is gone without a word
  for (int i = 0; i < 1000 && ended < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(ended, 3);
}

TEST_F(WebSocketTest, TooLargeAMessageClosesTheSocket) {
  auto client = Connect();
  client->write(asio::buffer(std::string(100'001, 'x')));
  beast::flat_buffer buffer;
  error_code error;
  client->read(buffer, error);
  EXPECT_EQ(client->reason().code, websocket::close_code::too_big);
}

TEST_F(WebSocketTest, BadFramesAndHandshakesAreRefused) {
  RawSocket bad(port_);
  ASSERT_TRUE(
      bad.Write("GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
  EXPECT_THAT(bad.Read(2000), HasSubstr("400 Bad Request"));
  RawSocket unmasked(port_);
  ASSERT_TRUE(unmasked.Write(
      "GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"));
  EXPECT_THAT(unmasked.Read(2000, "\r\n\r\n"), HasSubstr("101 Switching Protocols"));
  ASSERT_TRUE(unmasked.Write(std::string("\x81\x02hi", 4)));
  unmasked.Read(2000);
  EXPECT_TRUE(unmasked.closed());
}

TEST_F(WebSocketTest, AnUpgradedConnectionIsBytesBothWays) {
  RawSocket socket(port_);
  // What comes together with the request belongs to the new protocol.
  ASSERT_TRUE(socket.Write("GET /shout HTTP/1.1\r\nHost: t\r\n\r\nab"));
  std::string got = socket.Read(2000, "AB");
  EXPECT_TRUE(got.ends_with("\r\n\r\nAB")) << got;
  ASSERT_TRUE(socket.Write("cd."));
  EXPECT_EQ(socket.Read(2000), "CD.");
  EXPECT_TRUE(socket.closed());
  RawSocket old(port_);
  ASSERT_TRUE(old.Write("GET /shout HTTP/1.0\r\n\r\n"));
  EXPECT_THAT(old.Read(2000), HasSubstr("400 Bad Request"));
}

}  // namespace
}  // namespace keel::rpc
