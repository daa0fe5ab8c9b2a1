#include <gtest/gtest.h>

#include <future>

#include "rpc/client.h"
#include "rpc/server.h"
#include "rpc/test_echo.h"

namespace keel::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kLong(30);

// Collects what a stream receives; its methods may be called from any thread.
class Collector : public ClientStreamHandler {
 public:
  void OnMessage(std::string_view message) override {
    std::lock_guard lock(mu_);
    messages_.emplace_back(message);
    bytes_ += message.size();
    changed_.notify_all();
  }
  void OnWritable() override { ++writable; }
  void OnFinished(absl::Status status) override {
    std::lock_guard lock(mu_);
    ++finishes_;
    status_ = std::move(status);
    changed_.notify_all();
  }

  bool WaitForMessages(size_t count) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, kLong, [&] { return messages_.size() >= count; });
  }
  absl::Status WaitForEnd() {
    std::unique_lock lock(mu_);
    if (!changed_.wait_for(lock, kLong, [&] { return finishes_ > 0; })) {
      return absl::UnknownError("the test waited too long");
    }
    EXPECT_EQ(finishes_, 1);
    return status_;
  }
  std::vector<std::string> messages() {
    std::lock_guard lock(mu_);
    return messages_;
  }

  std::atomic<int> writable{0};

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> messages_;
  size_t bytes_ = 0;
  int finishes_ = 0;
  absl::Status status_;
};

class StreamTest : public ::testing::Test {
 protected:
  void SetUp() override { client_loop_.Start(); }

  void Connect(ServerOptions options = {}, ChannelOptions channel_options = {}) {
    echo_ = std::make_unique<EchoServer>(options);
    echo_->Listen();
    channel_ = std::make_unique<Channel>(client_loop_, echo_->target(), channel_options);
  }

  base::AsioLoop client_loop_{"client"};
  std::unique_ptr<EchoServer> echo_;
  std::unique_ptr<Channel> channel_;
};

TEST_F(StreamTest, ChatsUntilHalfClose) {
  Connect();
  auto collector = std::make_shared<Collector>();
  auto stream = channel_->OpenStream(kChat, {}, collector);
  stream->Send(std::string("one"));
  ASSERT_TRUE(collector->WaitForMessages(1));
  stream->Send(std::string("two"));
  stream->Send(Message("th", std::make_shared<const std::string>("ree")));
  stream->Send(std::string());
  stream->CloseSend();
  EXPECT_TRUE(collector->WaitForEnd().ok());
  EXPECT_EQ(collector->messages(), (std::vector<std::string>{"one", "two", "three", ""}));
  stream->Send(std::string("after the end"));
  stream->Cancel();
}

TEST_F(StreamTest, ManyStreamsOnOneConnection) {
  Connect();
  constexpr size_t kStreams = 1000;
  std::vector<std::shared_ptr<Collector>> collectors;
  std::vector<ClientStreamPtr> streams;
  for (size_t i = 0; i < kStreams; ++i) {
    collectors.push_back(std::make_shared<Collector>());
    streams.push_back(channel_->OpenStream(kChat, {}, collectors.back()));
    streams.back()->Send(std::to_string(i));
  }
  for (size_t i = 0; i < kStreams; ++i) ASSERT_TRUE(collectors[i]->WaitForMessages(1)) << i;
  EXPECT_EQ(echo_->server->Stats().calls_open, kStreams);
  EXPECT_EQ(echo_->server->Stats().connections_accepted, 1u);
  for (size_t i = 0; i < kStreams; ++i) {
    streams[i]->Send(std::string("again"));
    streams[i]->CloseSend();
  }
  for (size_t i = 0; i < kStreams; ++i) {
    EXPECT_TRUE(collectors[i]->WaitForEnd().ok());
    EXPECT_EQ(collectors[i]->messages(), (std::vector<std::string>{std::to_string(i), "again"}));
  }
}

TEST_F(StreamTest, SlowReaderBoundsTheServersMemoryAndLosesNothing) {
  Connect({}, {.stream_window_bytes = 65'535});
  auto collector = std::make_shared<Collector>();
  auto stream = channel_->OpenStream(kBlast, {}, collector);
  stream->PauseReading();
  stream->Send(std::string("2000 10000"));  // 20 MB
  stream->CloseSend();
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_TRUE(collector->messages().empty());
  // The mark, and at most one message beyond it.
  EXPECT_LE(echo_->blast_queued_max, 64u * 1024 + 10'000);
  for (int i = 0; i < 20; ++i) {
    stream->ResumeReading();
    std::this_thread::sleep_for(milliseconds(2));
    stream->PauseReading();
  }
  stream->ResumeReading();
  EXPECT_TRUE(collector->WaitForEnd().ok());
  const auto messages = collector->messages();
  ASSERT_EQ(messages.size(), 2000u);
  for (size_t i = 0; i < messages.size(); ++i) {
    EXPECT_TRUE(messages[i] == std::string(10000, static_cast<char>('a' + i % 26))) << i;
  }
  EXPECT_LE(echo_->blast_queued_max, 64u * 1024 + 10'000);
}

// Each far below the step in which credit is given, together many windows.
TEST_F(StreamTest, SmallMessagesDoNotExhaustTheWindow) {
  Connect({}, {.stream_window_bytes = 65'535});
  auto collector = std::make_shared<Collector>();
  auto stream = channel_->OpenStream(kBlast, {}, collector);
  stream->Send(std::string("20000 20"));
  stream->CloseSend();
  EXPECT_TRUE(collector->WaitForEnd().ok());
  EXPECT_EQ(collector->messages().size(), 20'000u);
}

// Reads nothing until told.
class PausedHandler : public ServerStreamHandler {
 public:
  PausedHandler(ServerCallPtr call, std::vector<ServerCallPtr>* calls, std::mutex* mu)
      : call_(call) {
    call_->PauseReading();
    std::lock_guard lock(*mu);
    calls->push_back(std::move(call));
  }
  void OnMessage(std::string_view message) override { total_ += message.size(); }
  void OnHalfClose() override {
    call_->Send(std::to_string(total_));
    call_->Finish(absl::OkStatus());
  }

 private:
  ServerCallPtr call_;
  size_t total_ = 0;
};

TEST_F(StreamTest, SlowServerHoldsTheClientBackAndLosesNothing) {
  echo_ = std::make_unique<EchoServer>(ServerOptions{.stream_window_bytes = 65'535});
  echo_->server->RegisterStream("/test.Sum/Sum", [this](ServerCallPtr call) {
    return std::make_shared<PausedHandler>(std::move(call), &echo_->kept, &echo_->mu);
  });
  echo_->Listen();
  channel_ = std::make_unique<Channel>(client_loop_, echo_->target());
  auto collector = std::make_shared<Collector>();
  auto stream = channel_->OpenStream("/test.Sum/Sum", {}, collector);
  for (int i = 0; i < 100; ++i) stream->Send(std::string(10'000, 'x'));
  stream->CloseSend();
  std::this_thread::sleep_for(milliseconds(200));
  // All but the window is still on the client's side.
  EXPECT_GT(stream->queued_bytes(), 900'000u);
  // Other calls of the connection are not held up.
  std::promise<absl::StatusOr<std::string>> other;
  channel_->Call(kEcho, "x", {},
                 [&](absl::StatusOr<std::string> r) { other.set_value(std::move(r)); });
  EXPECT_EQ(other.get_future().get().value(), "x");
  {
    std::lock_guard lock(echo_->mu);
    ASSERT_EQ(echo_->kept.size(), 1u);
    echo_->kept[0]->ResumeReading();
  }
  EXPECT_TRUE(collector->WaitForEnd().ok());
  EXPECT_EQ(collector->messages(), std::vector<std::string>{"1000000"});
  EXPECT_EQ(stream->queued_bytes(), 0u);
  EXPECT_GE(collector->writable, 1);
}

// Notes how the call ended.
class EndHandler : public ServerStreamHandler {
 public:
  EndHandler(ServerCallPtr call, std::promise<bool>* cancelled)
      : call_(std::move(call)), cancelled_(cancelled) {}
  void OnMessage(std::string_view message) override {
    if (message == "finish") call_->Finish(absl::AbortedError("as asked"));
    if (message == "greet") call_->Send(std::string("hello"));
  }
  void OnEnd() override { cancelled_->set_value(call_->cancelled()); }

 private:
  ServerCallPtr call_;
  std::promise<bool>* cancelled_;
};

class StreamEndTest : public StreamTest {
 protected:
  void SetUp() override {
    StreamTest::SetUp();
    echo_ = std::make_unique<EchoServer>();
    echo_->server->RegisterStream("/test.End/End", [this](ServerCallPtr call) {
      return std::make_shared<EndHandler>(std::move(call), &cancelled_);
    });
    echo_->Listen();
    channel_ = std::make_unique<Channel>(client_loop_, echo_->target());
  }
  bool Cancelled() {
    auto future = cancelled_.get_future();
    EXPECT_EQ(future.wait_for(kLong), std::future_status::ready);
    return future.get();
  }

  std::promise<bool> cancelled_;
  std::shared_ptr<Collector> collector_ = std::make_shared<Collector>();
};

TEST_F(StreamEndTest, ServerMayFinishBeforeTheClientsHalfClose) {
  auto stream = channel_->OpenStream("/test.End/End", {}, collector_);
  stream->Send(std::string("greet"));
  stream->Send(std::string("finish"));
  EXPECT_EQ(collector_->WaitForEnd(), absl::AbortedError("as asked"));
  EXPECT_EQ(collector_->messages(), std::vector<std::string>{"hello"});
  EXPECT_FALSE(Cancelled());
}

TEST_F(StreamEndTest, CancelReachesTheServer) {
  auto stream = channel_->OpenStream("/test.End/End", {}, collector_);
  stream->Send(std::string("greet"));
  ASSERT_TRUE(collector_->WaitForMessages(1));
  stream->Cancel();
  EXPECT_EQ(collector_->WaitForEnd().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(Cancelled());
}

TEST_F(StreamEndTest, DeadlineEndsIt) {
  auto stream = channel_->OpenStream(
      "/test.End/End", {.deadline = client_loop_.Now() + milliseconds(100)}, collector_);
  stream->Send(std::string("greet"));
  EXPECT_EQ(collector_->WaitForEnd(), absl::DeadlineExceededError("context deadline exceeded"));
  EXPECT_TRUE(Cancelled());
}

TEST_F(StreamEndTest, DisconnectReachesTheServer) {
  auto stream = channel_->OpenStream("/test.End/End", {}, collector_);
  stream->Send(std::string("greet"));
  ASSERT_TRUE(collector_->WaitForMessages(1));
  channel_->Close();
  EXPECT_EQ(collector_->WaitForEnd().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(Cancelled());
}

TEST_F(StreamEndTest, StoppedServerReachesTheClient) {
  auto stream = channel_->OpenStream("/test.End/End", {}, collector_);
  stream->Send(std::string("greet"));
  ASSERT_TRUE(collector_->WaitForMessages(1));
  echo_->server->Stop();
  EXPECT_TRUE(Cancelled());
  EXPECT_EQ(collector_->WaitForEnd().code(), absl::StatusCode::kUnavailable);
}

TEST_F(StreamTest, SharedBytesReachManyStreamsFromAnotherThread) {
  echo_ = std::make_unique<EchoServer>();
  echo_->server->RegisterStream("/test.Fan/Out", [this](ServerCallPtr call) {
    std::lock_guard lock(echo_->mu);
    echo_->kept.push_back(call);
    return std::make_shared<ChatHandler>(std::move(call));
  });
  echo_->Listen();
  channel_ = std::make_unique<Channel>(client_loop_, echo_->target());
  constexpr size_t kStreams = 200;
  std::vector<std::shared_ptr<Collector>> collectors;
  std::vector<ClientStreamPtr> streams;
  for (size_t i = 0; i < kStreams; ++i) {
    collectors.push_back(std::make_shared<Collector>());
    streams.push_back(channel_->OpenStream("/test.Fan/Out", {}, collectors.back()));
    streams.back()->Send(std::string("here"));
  }
  for (const auto& collector : collectors) ASSERT_TRUE(collector->WaitForMessages(1));
  const auto small = std::make_shared<const std::string>("small");
  const auto large = std::make_shared<const std::string>(100'000, 'L');
  {
    std::lock_guard lock(echo_->mu);
    ASSERT_EQ(echo_->kept.size(), kStreams);
    for (size_t i = 0; i < kStreams; ++i) {
      Message message(std::to_string(i), small);
      message.shared.push_back(large);
      echo_->kept[i]->Send(std::move(message));
    }
  }
  for (size_t i = 0; i < kStreams; ++i) {
    ASSERT_TRUE(collectors[i]->WaitForMessages(2));
    EXPECT_TRUE(collectors[i]->messages()[1] == std::to_string(i) + *small + *large) << i;
  }
}

TEST_F(StreamTest, CancelBeforeTheConnectionIsThere) {
  Connect();
  auto collector = std::make_shared<Collector>();
  channel_->OpenStream(kChat, {}, collector)->Cancel();
  EXPECT_EQ(collector->WaitForEnd().code(), absl::StatusCode::kCancelled);
}

TEST_F(StreamTest, CallsBeyondThePeersLimitWaitTheirTurn) {
  Connect({.max_concurrent_streams = 2});
  std::vector<std::shared_ptr<Collector>> collectors;
  std::vector<ClientStreamPtr> streams;
  for (int i = 0; i < 6; ++i) {
    collectors.push_back(std::make_shared<Collector>());
    streams.push_back(channel_->OpenStream(kChat, {}, collectors.back()));
    streams.back()->Send(std::to_string(i));
    // Lets the first reach the server, so that its limit is known.
    if (i == 0) {
      ASSERT_TRUE(collectors[0]->WaitForMessages(1));
    }
  }
  ASSERT_TRUE(collectors[1]->WaitForMessages(1));
  streams[3]->Cancel();  // of those that wait
  EXPECT_EQ(collectors[3]->WaitForEnd().code(), absl::StatusCode::kCancelled);
  for (int i : {0, 1, 2, 4, 5}) {
    ASSERT_TRUE(collectors[i]->WaitForMessages(1)) << i;
    streams[i]->CloseSend();
    EXPECT_TRUE(collectors[i]->WaitForEnd().ok());
  }
}

}  // namespace
}  // namespace keel::rpc
