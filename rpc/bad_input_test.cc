// What a server does with clients that are broken, hostile, or speak something
// else.
#include <gtest/gtest.h>

#include <future>
#include <random>

#include "rpc/client.h"
#include "rpc/raw_socket.h"
#include "rpc/server.h"
#include "rpc/test_echo.h"

namespace keel::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kLongMs = 20'000;
constexpr int kEnhanceYourCalm = 11;  // RFC 9113, section 7

class BadInputTest : public ::testing::Test {
 protected:
  void Start(ServerOptions options = {}) {
    client_loop_.Start();
    echo_ = std::make_unique<EchoServer>(options);
    echo_->Listen();
  }

  // A well-behaved call on a connection of its own still works.
  void ExpectStillServing() {
    Channel channel(client_loop_, echo_->target());
    std::promise<absl::StatusOr<std::string>> promise;
    channel.Call(kEcho, "alive", {.deadline = client_loop_.Now() + seconds(20)},
                 [&](absl::StatusOr<std::string> response) { promise.set_value(response); });
    EXPECT_EQ(promise.get_future().get().value_or(""), "alive");
  }

  // Opens HTTP/2, writes, and returns all that came back until the server closed.
  std::string Http2UntilClosed(const std::string& frames, int times = 1) {
    RawSocket socket(echo_->port);
    EXPECT_TRUE(socket.connected());
    socket.Write(std::string(kPreface) + Settings());
    std::string answer;
    for (int i = 0; i < times; ++i) {
      // Reads meanwhile: the last words must not be lost in a reset connection.
      answer += socket.Read(0);
      if (socket.closed() || !socket.Write(frames)) break;
    }
    answer += socket.Read(kLongMs);
    EXPECT_TRUE(socket.closed());
    return answer;
  }

  base::AsioLoop client_loop_{"client"};
  std::unique_ptr<EchoServer> echo_;
};

TEST_F(BadInputTest, GarbageGets400) {
  Start();
  for (const std::string& garbage :
       {std::string("\x16\x03\x01 hello TLS\r\n\r\n"), std::string("nonsense\r\n\r\n"),
        std::string("GET\r\n\r\n"), std::string("PRI * HTTP/1.9\r\n\r\n"),
        std::string(2'000'000, '\1')}) {
    RawSocket socket(echo_->port);
    socket.Write(garbage);
    const std::string answer = socket.Read(kLongMs);
    EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 400") << garbage.substr(0, 20);
    EXPECT_TRUE(socket.closed()) << garbage.substr(0, 20);
  }
  ExpectStillServing();
}

TEST_F(BadInputTest, SilenceAndTruncatedPrefacesAreClosedAfterTheLimit) {
  Start({.handshake_timeout = milliseconds(100)});
  for (const std::string& start :
       {std::string(), std::string("PRI * HTT"), std::string("GET /hea")}) {
    RawSocket socket(echo_->port);
    socket.Write(start);
    EXPECT_EQ(socket.Read(kLongMs), "") << start;
    EXPECT_TRUE(socket.closed()) << start;
  }
  ExpectStillServing();
}

TEST_F(BadInputTest, PrefaceMayArriveByteByByte) {
  Start();
  RawSocket socket(echo_->port);
  for (const char byte : std::string(kPreface) + Settings()) {
    ASSERT_TRUE(socket.Write({&byte, 1}));
    std::this_thread::sleep_for(milliseconds(1));
  }
  const auto frames = ParseFrames(socket.Read(300));
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames[0].type, kSettings);
}

TEST_F(BadInputTest, HttpRequestsMayBePipelinedAndCut) {
  Start();
  RawSocket socket(echo_->port);
  socket.Write("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHo");
  std::string answer = socket.Read(kLongMs, "GET /a");
  socket.Write("st: x\r\nConnection: close\r\n\r\n");
  answer += socket.Read(kLongMs);
  EXPECT_NE(answer.find("GET /b"), std::string::npos);
  EXPECT_TRUE(socket.closed());
}

TEST_F(BadInputTest, LargeHttpHeadersAndBodiesAreRefused) {
  Start({.max_header_list_bytes = 4000,
         .max_http_body_bytes = 1000,
         .http_too_large = "{}",
         .http_too_large_type = "application/json"});
  RawSocket headers(echo_->port);
  headers.Write("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(5000, 'x') + "\r\n\r\n");
  EXPECT_EQ(headers.Read(kLongMs).substr(0, 12), "HTTP/1.1 431");
  RawSocket body(echo_->port);
  body.Write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
  const std::string refused = body.Read(kLongMs);
  EXPECT_EQ(refused.substr(0, 12), "HTTP/1.1 413");
  EXPECT_NE(refused.find("application/json"), std::string::npos) << refused;
  EXPECT_TRUE(refused.ends_with("\r\n\r\n{}")) << refused;
  ExpectStillServing();
}

TEST_F(BadInputTest, HttpOverHttp2ReachesTheHandler) {
  Start();
  RawSocket socket(echo_->port);
  socket.Write(std::string(kPreface) + Settings() +
               Frame(kHeaders, kEndStream | kEndHeaders, 1,
                     HeaderBlock({{":method", "GET"},
                                  {":scheme", "http"},
                                  {":path", "/health?x=1"},
                                  {":authority", "test"},
                                  {"x-test", "seen"}})));
  const std::string answer = socket.Read(kLongMs, "GET /health ? x=1 seen ");
  EXPECT_NE(answer.find("GET /health ? x=1 seen "), std::string::npos);
}

// As Go's gRPC client sends it when its endpoint is given as a URL.
TEST_F(BadInputTest, AuthorityMayBeAUrl) {
  Start();
  auto headers = GrpcHeaders(kEcho);
  for (auto& [name, value] : headers) {
    if (name == ":authority") value = "http://127.0.0.1:2379";
  }
  RawSocket socket(echo_->port);
  socket.Write(std::string(kPreface) + Settings() +
               Frame(kHeaders, kEndHeaders, 1, HeaderBlock(headers)) +
               Frame(kData, kEndStream, 1, std::string("\0\0\0\0\4", 5) + "here"));
  EXPECT_NE(socket.Read(kLongMs, "here").find("here"), std::string::npos);
}

// Nothing but what a request needs is looked at: no path, two paths, odd names.
TEST_F(BadInputTest, OddHeadersEndTheirCallOnly) {
  Start();
  RawSocket socket(echo_->port);
  const std::vector<std::vector<std::pair<std::string, std::string>>> odd = {
      {},
      {{":method", "POST"}, {"content-type", "application/grpc"}},
      {{":path", "/a"},
       {":path", kEcho},
       {":method", "POST"},
       {"content-type", "application/grpc"}},
      {{":method", "POST"}, {":path", "no slash"}, {"content-type", "application/grpc"}},
      {{"UPPER", "case"}, {"nul", std::string("a\0b", 3)}, {":late", "pseudo"}},
      {{":method", "GET"}, {":path", "*"}, {"content-length", "77"}}};
  std::string bytes = std::string(kPreface) + Settings();
  uint32_t stream = 1;
  for (const auto& headers : odd) {
    bytes += Frame(kHeaders, kEndHeaders | kEndStream, stream, HeaderBlock(headers));
    stream += 2;
  }
  bytes += Frame(kHeaders, kEndHeaders, stream, HeaderBlock(GrpcHeaders(kEcho))) +
           Frame(kData, kEndStream, stream, std::string("\0\0\0\0\4", 5) + "here");
  socket.Write(bytes);
  EXPECT_NE(socket.Read(kLongMs, "here").find("here"), std::string::npos);
  ExpectStillServing();
}

TEST_F(BadInputTest, LargeRequestHeadersEndTheCallOnly) {
  Start({.max_header_list_bytes = 4000});
  Channel channel(client_loop_, echo_->target());
  const auto call = [&](size_t bytes) {
    std::promise<absl::Status> promise;
    channel.Call(kEcho, "x", {.metadata = {{"token", std::string(bytes, 't')}}},
                 [&](absl::StatusOr<std::string> r) { promise.set_value(r.status()); });
    return promise.get_future().get();
  };
  EXPECT_EQ(call(5000).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(call(1000).ok());
}

TEST_F(BadInputTest, EndlessContinuationsAreCutOff) {
  Start();
  std::string flood = Frame(kHeaders, 0, 1, HeaderBlock(GrpcHeaders(kEcho)));
  for (int i = 0; i < 1000; ++i) {
    flood += Frame(kContinuation, 0, 1, HeaderBlock({{"x", std::string(1000, 'x')}}));
  }
  Http2UntilClosed(flood);
  ExpectStillServing();
}

TEST_F(BadInputTest, PingFloodIsTurnedAway) {
  Start({.control_frame_burst = 100, .control_frames_per_second = 1});
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += Frame(kPing, 0, 0, "12345678");
  EXPECT_EQ(GoawayCode(Http2UntilClosed(flood)), kEnhanceYourCalm);
  EXPECT_EQ(echo_->server->Stats().connections_refused_as_flood, 1u);
  ExpectStillServing();
}

TEST_F(BadInputTest, FloodersThatReadLateStillHearWhy) {
  Start({.control_frame_burst = 100, .control_frames_per_second = 1});
  std::string flood = std::string(kPreface) + Settings();
  for (int i = 0; i < 50'000; ++i) flood += Frame(kPing, 0, 0, "12345678");
  RawSocket socket(echo_->port);
  socket.Write(flood);
  EXPECT_EQ(GoawayCode(socket.Read(kLongMs)), kEnhanceYourCalm);
  EXPECT_TRUE(socket.closed());
}

TEST_F(BadInputTest, SettingsAndEmptyDataFloodsAreTurnedAway) {
  Start({.control_frame_burst = 100, .control_frames_per_second = 1});
  std::string settings;
  for (int i = 0; i < 200; ++i) settings += Settings();
  EXPECT_EQ(GoawayCode(Http2UntilClosed(settings)), kEnhanceYourCalm);

  std::string empty = Frame(kHeaders, kEndHeaders, 1, HeaderBlock(GrpcHeaders(kEcho)));
  for (int i = 0; i < 200; ++i) empty += Frame(kData, 0, 1, "");
  EXPECT_EQ(GoawayCode(Http2UntilClosed(empty)), kEnhanceYourCalm);
  ExpectStillServing();
}

// CVE-2023-44487.
TEST_F(BadInputTest, RapidResetIsTurnedAway) {
  Start({.reset_burst = 100, .resets_per_second = 1});
  std::string flood;
  for (uint32_t i = 0; i < 500; ++i) {
    flood += Frame(kHeaders, kEndHeaders, 2 * i + 1, HeaderBlock(GrpcHeaders(kNever)));
    flood += Frame(kRstStream, 0, 2 * i + 1, U32(8));
  }
  EXPECT_EQ(GoawayCode(Http2UntilClosed(flood)), kEnhanceYourCalm);
  EXPECT_EQ(echo_->server->Stats().calls_open, 0u);
  ExpectStillServing();
}

TEST_F(BadInputTest, PingsThatGoWithAnswersAreNoFlood) {
  Start({.control_frame_burst = 10, .control_frames_per_second = 1});
  RawSocket socket(echo_->port);
  socket.Write(std::string(kPreface) + Settings());
  for (uint32_t i = 0; i < 200; ++i) {
    const uint32_t stream = 2 * i + 1;
    ASSERT_TRUE(socket.Write(Frame(kHeaders, kEndHeaders, stream, HeaderBlock(GrpcHeaders(kEcho))) +
                             Frame(kData, kEndStream, stream, std::string(5, '\0')) +
                             Frame(kPing, 0, 0, "12345678")));
    socket.Read(kLongMs, "12345678");
  }
  EXPECT_FALSE(socket.closed());
}

TEST_F(BadInputTest, SilentConnectionIsPingedThenClosed) {
  Start({.keepalive_interval = milliseconds(100), .keepalive_timeout = milliseconds(100)});
  RawSocket socket(echo_->port);
  socket.Write(std::string(kPreface) + Settings());
  const auto frames = ParseFrames(socket.Read(kLongMs));
  EXPECT_TRUE(socket.closed());
  bool pinged = false;
  for (const ParsedFrame& frame : frames) pinged |= frame.type == kPing;
  EXPECT_TRUE(pinged);
}

TEST_F(BadInputTest, AnsweredPingsKeepTheConnection) {
  Start({.keepalive_interval = milliseconds(50), .keepalive_timeout = milliseconds(50)});
  Channel channel(client_loop_, echo_->target());
  std::promise<absl::Status> promise;
  channel.Call(kNever, "", {.deadline = client_loop_.Now() + milliseconds(600)},
               [&](absl::StatusOr<std::string> r) { promise.set_value(r.status()); });
  EXPECT_EQ(promise.get_future().get().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(echo_->server->Stats().connections_accepted, 1u);
}

TEST_F(BadInputTest, UnreadAnswersHoldFurtherRequestsBack) {
  Start({.max_request_bytes = 200'000, .max_queued_bytes = 1'000'000});
  RawSocket socket(echo_->port);
  // No window for answers at all: they must stay in the server.
  std::string setup =
      std::string(kPreface) + Frame(kSettings, 0, 0, std::string("\0\4", 2) + U32(0));
  socket.Write(setup);
  socket.Read(200);
  socket.Write(Frame(kSettings, kAck, 0, ""));  // its stream windows count from here
  std::string body = std::string("\0", 1) + U32(100'000) + std::string(100'000, 'x');
  constexpr uint32_t kRequests = 50;
  for (uint32_t i = 0; i < kRequests; ++i) {
    const uint32_t stream = 2 * i + 1;
    std::string request = Frame(kHeaders, kEndHeaders, stream, HeaderBlock(GrpcHeaders(kEcho)));
    for (size_t at = 0; at < body.size(); at += 16384) {
      const std::string_view piece = std::string_view(body).substr(at, 16384);
      request += Frame(kData, at + piece.size() == body.size() ? kEndStream : 0, stream, piece);
    }
    ASSERT_TRUE(socket.Write(request));
  }
  // About ten are answered, ten wait, and the others are told so at once.
  std::string answers;
  size_t refused = 0;
  for (int i = 0; i < 50 && refused < 25; ++i) {
    answers += socket.Read(100);
    refused = 0;
    for (const ParsedFrame& frame : ParseFrames(answers)) {
      refused += frame.type == kHeaders && (frame.flags & kEndStream) != 0;
    }
  }
  EXPECT_GE(refused, 25u);
  EXPECT_LE(refused, 32u);
  // Opening the windows brings all the others out.
  std::string open = Frame(kSettings, 0, 0, std::string("\0\4", 2) + U32(10'000'000)) +
                     Frame(kWindowUpdate, 0, 0, U32(100'000'000));
  socket.Write(open);
  size_t ended = 0;
  for (int i = 0; i < 100 && ended < kRequests; ++i) {
    answers += socket.Read(100);
    ended = 0;
    for (const ParsedFrame& frame : ParseFrames(answers)) {
      ended += frame.type == kHeaders && (frame.flags & kEndStream) != 0;
    }
  }
  EXPECT_EQ(ended, kRequests);
  ExpectStillServing();
}

// Valid traffic, mutated: whatever happens on that connection, the server goes
// on serving others and lets go of it in the end.
TEST_F(BadInputTest, SurvivesMutatedTraffic) {
  Start({.keepalive_interval = milliseconds(200), .keepalive_timeout = milliseconds(100)});
  std::string valid = std::string(kPreface) + Settings();
  for (uint32_t i = 0; i < 6; ++i) {
    const char* const paths[] = {kEcho, kChat, kFail, "/no/such", kDrop, kBlast};
    valid += Frame(kHeaders, kEndHeaders, 2 * i + 1, HeaderBlock(GrpcHeaders(paths[i])));
    valid += Frame(kData, i % 2 == 0 ? kEndStream : 0, 2 * i + 1,
                   std::string("\0\0\0\0\5", 5) + "3 100");
  }
  valid += Frame(kPing, 0, 0, "12345678") + Frame(kWindowUpdate, 0, 3, U32(1000)) +
           Frame(kRstStream, 0, 3, U32(8)) + Frame(kGoaway, 0, 0, U32(0) + U32(0));
  const std::string http =
      "POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n";
  constexpr uint32_t kSeed = 20261122;
  std::mt19937 random(kSeed);
  for (int round = 0; round < 1500; ++round) {
    std::string bytes = round % 4 == 3 ? http : valid;
    const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
    for (size_t edits = below(8); edits > 0; --edits) {
      // Mostly behind the preface, where the frames are.
      const size_t skip = round % 4 == 3 || below(10) == 0 ? 0 : kPreface.size();
      const size_t at = skip + below(bytes.size() - skip);
      switch (below(4)) {
        case 0:
          bytes[at] = static_cast<char>(random());
          break;
        case 1:
          bytes.erase(at, 1 + below(20));
          break;
        case 2:
          bytes.insert(at, bytes.substr(below(bytes.size()), below(60)));
          break;
        case 3:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
          break;
      }
      if (bytes.size() <= kPreface.size()) break;
    }
    RawSocket socket(echo_->port);
    ASSERT_TRUE(socket.connected());
    const size_t cut = below(bytes.size() + 1);
    socket.Write(std::string_view(bytes).substr(0, cut));
    if (below(2) == 0) socket.Read(0);
    socket.Write(std::string_view(bytes).substr(cut));
    if (below(8) == 0) socket.Read(1);
    if (round % 300 == 299) ExpectStillServing();
  }
  ExpectStillServing();
  for (int i = 0; i < 200 && echo_->server->Stats().connections_open > 0; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(echo_->server->Stats().connections_open, 0u);
  EXPECT_EQ(echo_->server->Stats().calls_open, 0u);
}

TEST_F(BadInputTest, SurvivesRandomBytesBehindThePreface) {
  Start();
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string bytes = std::string(kPreface) + Settings();
    const size_t size = random() % 2000;
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(random());
    RawSocket socket(echo_->port);
    socket.Write(bytes);
  }
  ExpectStillServing();
}

}  // namespace
}  // namespace keel::rpc
