// Streamed answers and streamed request bodies over HTTP/1.1, HTTP/1.0 and HTTP/2.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_format.h"
#include "base/asio_loop.h"
#include "base/strings.h"
#include "rpc/raw_socket.h"
#include "rpc/server.h"

namespace keel::rpc {
namespace {

constexpr size_t kPieceBytes = 10'000;

// Every open stream of the server, for the tests to write to and to count.
struct Board {
  std::mutex mu;
  std::vector<ServerCallPtr> open;
  int ended = 0;
  int cancelled = 0;
  size_t queued_max = 0;
  bool paused = false;

  ServerCallPtr First() {
    std::lock_guard lock(mu);
    return open.empty() ? nullptr : open.front();
  }
  bool Wait(const std::function<bool(const Board&)>& condition) {
    for (int i = 0; i < 2000; ++i) {
      {
        std::lock_guard lock(mu);
        if (condition(*this)) return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
};

class Handler : public ServerStreamHandler {
 public:
  Handler(ServerCallPtr call, Board* board) : call_(std::move(call)), board_(board) {
    std::lock_guard lock(board_->mu);
    board_->open.push_back(call_);
  }
  void OnMessage(std::string_view) override {}
  void OnEnd() override {
    std::lock_guard lock(board_->mu);
    ++board_->ended;
    if (call_->cancelled()) ++board_->cancelled;
    std::erase(board_->open, call_);
  }

 protected:
  const ServerCallPtr call_;
  Board* const board_;
};

// Answers each piece of the request's body, and "end" at its end.
class Chat final : public Handler {
 public:
  using Handler::Handler;
  void OnMessage(std::string_view bytes) override {
    if (board_->paused) call_->PauseReading();
    call_->Send(base::StrCat("[", bytes, "]"));
  }
  void OnHalfClose() override {
    call_->Send(std::string("end"));
    call_->Finish(absl::OkStatus());
  }
};

// Sends `count` pieces, never more than the mark plus one at a time.
class Blast final : public Handler {
 public:
  Blast(ServerCallPtr call, Board* board, size_t count)
      : Handler(std::move(call), board), left_(count) {
    OnWritable();
  }
  void OnWritable() override {
    while (left_ > 0 && call_->queued_bytes() <= 64 * 1024) {
      --left_;
      call_->Send(std::string(kPieceBytes, 'x'));
      board_->queued_max = std::max(board_->queued_max, call_->queued_bytes());
    }
    if (left_ == 0) call_->Finish(absl::OkStatus());
  }

 private:
  size_t left_;
};

class HttpStreamTest : public ::testing::Test {
 protected:
  HttpStreamTest() {
    loop_.Start();
    server_.SetHttpHandler(
        [this](HttpRequest request, HttpRespond respond) {
          Handle(std::move(request), std::move(respond));
        },
        [](const HttpRequest& head) { return head.path.starts_with("/body"); });
    port_ = server_.Listen("127.0.0.1", 0).value();
  }
  ~HttpStreamTest() override {
    server_.Stop();
    loop_.Stop();
  }

  void Handle(HttpRequest request, HttpRespond respond) {
    HttpResponse head;
    head.content_type = "application/json";
    head.headers = {{"x-kind", "stream"}};
    if (request.path == "/three") {
      std::move(respond).Stream(std::move(head), [](ServerCallPtr call) {
        for (const char* piece : {"one", "", "two", "three"}) call->Send(std::string(piece));
        call->Finish(absl::OkStatus());
        return nullptr;
      });
    } else if (request.path == "/cut") {
      std::move(respond).Stream(std::move(head), [](ServerCallPtr call) {
        call->Send(std::string("half"));
        call->Finish(absl::InternalError("disk"));
        return nullptr;
      });
    } else if (request.path == "/open") {
      std::move(respond).Stream(std::move(head), [this](ServerCallPtr call) {
        call->Send(std::string("hello"));
        return std::make_shared<Handler>(std::move(call), &board_);
      });
    } else if (request.path == "/blast") {
      std::move(respond).Stream(std::move(head), [this](ServerCallPtr call) {
        return std::make_shared<Blast>(std::move(call), &board_, 1000);
      });
    } else if (request.path == "/body/chat") {
      EXPECT_EQ(request.body, "");
      std::thread([this, head = std::move(head), respond = std::move(respond)]() mutable {
        std::move(respond).Stream(std::move(head), [this](ServerCallPtr call) {
          return std::make_shared<Chat>(std::move(call), &board_);
        });
      }).detach();
    } else {
      std::move(respond)({.status = 403, .body = base::StrCat("no ", request.body)});
    }
  }

  std::string Get(const std::string& path) {
    return "GET " + path + " HTTP/1.1\r\nHost: t\r\n\r\n";
  }

  Board board_;
  base::AsioLoop loop_{"server"};
  Server server_{{&loop_}};
  uint16_t port_ = 0;
};

TEST_F(HttpStreamTest, PiecesAreChunksAndTheConnectionGoesOn) {
  RawSocket socket(port_);
  // The second request comes together with the first, the third later.
  ASSERT_TRUE(socket.Write(Get("/three") + Get("/three")));
  std::string got;
  const auto count = [&got](std::string_view what) {
    size_t n = 0;
    for (size_t at = got.find(what); at != std::string::npos; at = got.find(what, at + 1)) ++n;
    return n;
  };
  while (count("0\r\n\r\n") < 2) {
    const std::string more = socket.Read(2000, "0\r\n\r\n");
    ASSERT_NE(more, "") << got;
    got += more;
  }
  ASSERT_TRUE(socket.Write(Get("/three")));
  got += socket.Read(2000, "0\r\n\r\n");
  EXPECT_EQ(count("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"), 3u) << got;
  EXPECT_EQ(count("Transfer-Encoding: chunked\r\n"), 3u);
  EXPECT_EQ(count("x-kind: stream\r\n"), 3u);
  EXPECT_FALSE(socket.closed());
}

TEST_F(HttpStreamTest, Http10GetsTheBodyAsItIsAndTheEndOfTheConnection) {
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write("GET /three HTTP/1.0\r\n\r\n"));
  const std::string got = socket.Read(2000);
  EXPECT_TRUE(socket.closed());
  EXPECT_TRUE(got.ends_with("\r\n\r\nonetwothree")) << got;
  EXPECT_EQ(got.find("chunked"), std::string::npos);
}

TEST_F(HttpStreamTest, HeadGetsTheHeadAlone) {
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write("HEAD /open HTTP/1.1\r\nHost: t\r\n\r\n" + Get("/three")));
  const std::string got = socket.Read(2000, "three");
  EXPECT_NE(got.find("one"), std::string::npos) << got;
  EXPECT_EQ(got.find("hello"), std::string::npos);
}

TEST_F(HttpStreamTest, AnErrorCutsTheBodyOff) {
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write(Get("/cut")));
  const std::string got = socket.Read(2000);
  EXPECT_TRUE(socket.closed());
  EXPECT_TRUE(got.ends_with("4\r\nhalf\r\n")) << got;
}

TEST_F(HttpStreamTest, ASlowReaderHoldsABoundedAmount) {
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write(Get("/blast")));
  ASSERT_TRUE(board_.Wait([](const Board& b) { return !b.open.empty(); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(board_.ended, 0) << "10 MB have gone into a socket that nobody reads";
  const std::string got = socket.Read(5000, "\r\n0\r\n\r\n");
  EXPECT_EQ(std::count(got.begin(), got.end(), 'x'), 1000 * static_cast<long>(kPieceBytes) + 1);
  EXPECT_TRUE(board_.Wait([](const Board& b) { return b.ended == 1; }));
  EXPECT_EQ(board_.cancelled, 0);
  EXPECT_LE(board_.queued_max, 64 * 1024 + kPieceBytes);
}

TEST_F(HttpStreamTest, TheHandlerHearsThatTheClientHasGone) {
  {
    RawSocket socket(port_);
    ASSERT_TRUE(socket.Write(Get("/open")));
    EXPECT_NE(socket.Read(2000, "hello").find("hello"), std::string::npos);
  }
  EXPECT_TRUE(board_.Wait([](const Board& b) { return b.cancelled == 1 && b.open.empty(); }));
}

TEST_F(HttpStreamTest, AnyThreadSendsAndStopEndsWhatIsOpen) {
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write(Get("/open")));
  ASSERT_TRUE(board_.Wait([](const Board& b) { return b.open.size() == 1; }));
  const ServerCallPtr call = board_.First();
  for (int i = 0; i < 100; ++i) call->Send(absl::StrFormat("<%d>", i));
  const std::string got = socket.Read(2000, "<99>");
  size_t at = 0;
  for (int i = 0; i < 100; ++i) {
    at = got.find(absl::StrFormat("<%d>", i), at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  server_.Stop();
  EXPECT_EQ(board_.cancelled, 1);
  call->Send(std::string("nobody hears"));
  call->Finish(absl::OkStatus());
}

TEST_F(HttpStreamTest, ABodyIsReadAsItComes) {
  RawSocket socket(port_);
  ASSERT_TRUE(
      socket.Write("POST /body/chat HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n"));
  EXPECT_NE(socket.Read(2000, "100 Continue").find("100 Continue"), std::string::npos);
  ASSERT_TRUE(socket.Write("3\r\nabc\r\n"));
  EXPECT_NE(socket.Read(2000, "[abc]").find("[abc]"), std::string::npos);
  ASSERT_TRUE(socket.Write("2\r\nde\r\n"));
  EXPECT_NE(socket.Read(2000, "[de]").find("[de]"), std::string::npos);
  ASSERT_TRUE(socket.Write("0\r\n\r\n" + Get("/three")));
  std::string got = socket.Read(2000, "three");
  EXPECT_NE(got.find("end"), std::string::npos);
  EXPECT_NE(got.find("three"), std::string::npos);
}

TEST_F(HttpStreamTest, APausedBodyHoldsTheClientUp) {
  board_.paused = true;
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write(
      "POST /body/chat HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000\r\n\r\nfirst"));
  EXPECT_NE(socket.Read(2000, "[first]").find("[first]"), std::string::npos);
  std::atomic<size_t> sent{0};
  std::thread writer([&] {
    const std::string more(100'000, 'y');
    while (sent < 99'000'000 && socket.Write(more)) sent += more.size();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(sent.load(), 20'000'000u);
  server_.Stop();  // lets the writer go
  writer.join();
  EXPECT_EQ(board_.ended, 1);
  EXPECT_EQ(board_.cancelled, 1);
}

TEST_F(HttpStreamTest, ABodyThatNobodyReadsClosesTheConnectionBehindTheAnswer) {
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write("POST /body/no HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nabc"));
  const std::string got = socket.Read(2000);
  EXPECT_NE(got.find("403"), std::string::npos) << got;
  EXPECT_TRUE(socket.closed());
}

// ---- HTTP/2

std::string Head(uint32_t stream, const std::string& method, const std::string& path, bool end) {
  return Frame(
      kHeaders, static_cast<uint8_t>(kEndHeaders | (end ? kEndStream : 0)), stream,
      HeaderBlock(
          {{":method", method}, {":scheme", "http"}, {":path", path}, {":authority", "t"}}));
}

// Bodies by stream, and which have ended.
struct Received {
  std::map<uint32_t, std::string> bodies;
  std::set<uint32_t> ended;
  std::set<uint32_t> reset;
  void Take(std::string_view bytes) {
    unread.append(bytes);
    size_t used = 0;
    for (const ParsedFrame& frame : ParseFrames(unread)) {
      used += 9 + frame.payload.size();
      if (frame.type == kData) bodies[frame.stream] += frame.payload;
      if (frame.type == kRstStream) reset.insert(frame.stream);
      const bool may_end = frame.type == kData || frame.type == kHeaders;
      if (may_end && (frame.flags & kEndStream) != 0) ended.insert(frame.stream);
    }
    unread.erase(0, used);
  }
  std::string unread;
};

TEST_F(HttpStreamTest, ManyStreamsShareAnHttp2Connection) {
  constexpr uint32_t kStreams = 200;
  RawSocket socket(port_);
  std::string requests = std::string(kPreface) + Settings();
  for (uint32_t i = 0; i < kStreams; ++i) requests += Head(2 * i + 1, "GET", "/open", true);
  ASSERT_TRUE(socket.Write(requests));
  ASSERT_TRUE(board_.Wait([](const Board& b) { return b.open.size() == kStreams; }));
  for (const ServerCallPtr& call : board_.open) call->Send(std::string("event"));
  Received received;
  const auto whole = [&] {
    if (received.bodies.size() < kStreams) return false;
    return std::all_of(received.bodies.begin(), received.bodies.end(),
                       [](const auto& body) { return body.second == "helloevent"; });
  };
  for (int i = 0; i < 100 && !whole(); ++i) received.Take(socket.Read(20));
  EXPECT_TRUE(whole());
  EXPECT_TRUE(received.ended.empty());
  // One is given up by the client, one ended by the server; the others do not mind.
  ASSERT_TRUE(socket.Write(Frame(kRstStream, 0, 5, U32(8))));
  ASSERT_TRUE(board_.Wait([](const Board& b) { return b.cancelled == 1; }));
  board_.First()->Finish(absl::OkStatus());
  ASSERT_TRUE(board_.Wait([](const Board& b) { return b.ended == 2; }));
  for (int i = 0; i < 100 && received.ended.empty(); ++i) received.Take(socket.Read(20));
  EXPECT_EQ(received.ended, std::set<uint32_t>{1});
  EXPECT_EQ(board_.open.size(), kStreams - 2);
}

TEST_F(HttpStreamTest, AnErrorResetsAnHttp2Stream) {
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write(std::string(kPreface) + Settings() + Head(1, "GET", "/cut", true) +
                           Head(3, "HEAD", "/open", true)));
  Received received;
  for (int i = 0; i < 100 && (received.reset.empty() || received.ended.empty()); ++i) {
    received.Take(socket.Read(20));
  }
  EXPECT_EQ(received.bodies[1], "half");
  EXPECT_EQ(received.reset, std::set<uint32_t>{1});
  EXPECT_EQ(received.ended, std::set<uint32_t>{3});
  EXPECT_EQ(received.bodies[3], "");
}

TEST_F(HttpStreamTest, AnHttp2ClientWithoutWindowHoldsABoundedAmount) {
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write(std::string(kPreface) + Settings() + Head(1, "GET", "/blast", true)));
  Received received;
  for (int i = 0; i < 100 && received.bodies[1].size() < 65535; ++i) received.Take(socket.Read(20));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(received.bodies[1].size(), 65535u);  // the window, and not a byte more
  EXPECT_EQ(board_.ended, 0);
  EXPECT_LE(board_.queued_max, 64 * 1024 + kPieceBytes);
  ASSERT_TRUE(socket.Write(Frame(kWindowUpdate, 0, 0, U32(100'000'000)) +
                           Frame(kWindowUpdate, 0, 1, U32(100'000'000))));
  for (int i = 0; i < 500 && received.ended.empty(); ++i) received.Take(socket.Read(20));
  EXPECT_EQ(received.bodies[1].size(), 1000 * kPieceBytes);
  EXPECT_LE(board_.queued_max, 64 * 1024 + kPieceBytes);
}

TEST_F(HttpStreamTest, AnHttp2BodyIsReadAsItComes) {
  RawSocket socket(port_);
  ASSERT_TRUE(socket.Write(std::string(kPreface) + Settings() +
                           Head(1, "POST", "/body/chat", false) + Frame(kData, 0, 1, "abc")));
  Received received;
  for (int i = 0; i < 100 && received.bodies[1].size() < 5; ++i) received.Take(socket.Read(20));
  EXPECT_EQ(received.bodies[1], "[abc]");
  ASSERT_TRUE(socket.Write(Frame(kData, 0, 1, "de") + Frame(kData, kEndStream, 1, "")));
  for (int i = 0; i < 100 && received.ended.empty(); ++i) received.Take(socket.Read(20));
  EXPECT_EQ(received.bodies[1], "[abc][de]end");
  // A body that nobody reads does not hold the connection up.
  ASSERT_TRUE(socket.Write(Head(3, "POST", "/body/no", false) +
                           Frame(kData, 0, 3, std::string(10000, 'z')) +
                           Head(5, "GET", "/three", true)));
  for (int i = 0; i < 100 && !received.ended.contains(5); ++i) received.Take(socket.Read(20));
  EXPECT_EQ(received.bodies[3], "no ");
  EXPECT_EQ(received.bodies[5], "onetwothree");
}

}  // namespace
}  // namespace keel::rpc
