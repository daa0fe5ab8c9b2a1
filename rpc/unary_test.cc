#include <gtest/gtest.h>

#include <future>

#include "rpc/client.h"
#include "rpc/server.h"
#include "rpc/test_echo.h"

namespace keel::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Generous: the machine may be busy.
constexpr seconds kLong(30);

class UnaryTest : public ::testing::Test {
 protected:
  void SetUp() override { client_loop_.Start(); }

  void Connect(ServerOptions options = {}, size_t loops = 1) {
    echo_ = std::make_unique<EchoServer>(options, loops);
    echo_->Listen();
    channel_ = std::make_unique<Channel>(client_loop_, echo_->target());
  }

  absl::StatusOr<std::string> Call(std::string_view path, std::string request,
                                   CallOptions options = {}) {
    std::promise<absl::StatusOr<std::string>> promise;
    auto future = promise.get_future();
    channel_->Call(
        path, std::move(request), std::move(options),
        [&](absl::StatusOr<std::string> response) { promise.set_value(std::move(response)); });
    return future.get();
  }

  base::AsioLoop client_loop_{"client"};
  std::unique_ptr<EchoServer> echo_;
  std::unique_ptr<Channel> channel_;
};

TEST_F(UnaryTest, Echoes) {
  Connect();
  EXPECT_EQ(Call(kEcho, "hello").value(), "hello");
  EXPECT_EQ(Call(kEcho, "").value(), "");
  EXPECT_TRUE(channel_->connected());
}

TEST_F(UnaryTest, CarriesStatusAndText) {
  Connect();
  const std::string text = "etcdserver: 100% lost\n\xc3\xa9 \x01";
  const auto response = Call(kFail, text);
  EXPECT_EQ(response.status(), absl::NotFoundError(text));
}

TEST_F(UnaryTest, NamesUnknownServicesAndMethodsAsGrpcGo) {
  Connect();
  EXPECT_EQ(Call("/no.Such/Thing", "").status(),
            absl::UnimplementedError("unknown service no.Such"));
  EXPECT_EQ(Call("/test.Echo/Nothing", "").status(),
            absl::UnimplementedError("unknown method Nothing for service test.Echo"));
}

TEST_F(UnaryTest, CarriesMessagesOfManySizes) {
  Connect({.max_request_bytes = 8 * 1024 * 1024});
  for (const size_t size : {1, 4091, 4096, 16383, 16384, 16385, 65536, 1'000'000, 5'000'000}) {
    std::string body(size, 'x');
    for (size_t i = 0; i < size; i += 997) body[i] = static_cast<char>(i);
    EXPECT_TRUE(Call(kEcho, body).value() == body) << size;
  }
}

TEST_F(UnaryTest, RefusesLargerRequestsThanAllowed) {
  Connect({.max_request_bytes = 1000});
  EXPECT_EQ(Call(kEcho, std::string(1000, 'x')).value().size(), 1000u);
  EXPECT_EQ(Call(kEcho, std::string(1001, 'x')).status(),
            absl::ResourceExhaustedError("grpc: received message larger than max (1001 vs. 1000)"));
  EXPECT_EQ(Call(kEcho, std::string(3'000'000, 'x')).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Call(kEcho, "still usable").value(), "still usable");
}

TEST_F(UnaryTest, CarriesManyCallsAtOnce) {
  Connect();
  constexpr int kCalls = 5000;
  std::atomic<int> right{0};
  std::promise<void> done;
  std::atomic<int> left{kCalls};
  for (int i = 0; i < kCalls; ++i) {
    const std::string body = std::to_string(i);
    channel_->Call(i % 2 == 0 ? kEcho : kThread, body, {},
                   [&, body](absl::StatusOr<std::string> response) {
                     if (response.ok() && *response == body) ++right;
                     if (--left == 0) done.set_value();
                   });
  }
  ASSERT_EQ(done.get_future().wait_for(kLong), std::future_status::ready);
  EXPECT_EQ(right, kCalls);
}

TEST_F(UnaryTest, AnswersFromOtherThreads) {
  Connect({}, 2);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Call(kThread, "x").value(), "x");
}

TEST_F(UnaryTest, CallDroppedUnansweredIsInternal) {
  Connect();
  EXPECT_EQ(Call(kDrop, "").status().code(), absl::StatusCode::kInternal);
}

TEST_F(UnaryTest, DeadlineEndsTheCallOnBothSides) {
  Connect();
  const auto status =
      Call(kNever, "", {.deadline = client_loop_.Now() + milliseconds(50)}).status();
  EXPECT_EQ(status, absl::DeadlineExceededError("context deadline exceeded"));
  for (int i = 0; i < 1000 && echo_->cancelled == 0; ++i)
    std::this_thread::sleep_for(milliseconds(10));
  EXPECT_EQ(echo_->cancelled, 1);
  ServerCallPtr call;
  {
    std::lock_guard lock(echo_->mu);
    call = std::move(echo_->kept[0]);
  }
  EXPECT_TRUE(call->cancelled());
  EXPECT_NE(call->deadline(), base::TimePoint::max());
  call->Reply(std::string("too late"));  // a no-op
  EXPECT_EQ(Call(kEcho, "on").value(), "on");
}

TEST_F(UnaryTest, TheServersDeadlineIsTheClientsAtTheEarliest) {
  Connect();
  const base::TimePoint start = client_loop_.Now();
  const base::TimePoint deadline = start + std::chrono::seconds(20);
  constexpr size_t kCalls = 4;  // alike: the later ones' timeout comes out of the table
  for (size_t i = 0; i < kCalls; ++i) {
    channel_->Call(kNever, "", {.deadline = deadline}, [](absl::StatusOr<std::string>) {});
  }
  std::vector<ServerCallPtr> calls;
  for (int i = 0; i < 1000 && calls.size() < kCalls; ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    std::lock_guard lock(echo_->mu);
    calls = echo_->kept;
  }
  const auto took = client_loop_.Now() - start;
  ASSERT_EQ(calls.size(), kCalls);
  for (const ServerCallPtr& call : calls) {
    EXPECT_GE(call->deadline(), deadline);
    EXPECT_LE(call->deadline(), deadline + took + milliseconds(10));
  }
}

TEST_F(UnaryTest, RefusedConnectionIsNamed) {
  Connect();
  const std::string target = echo_->target();
  echo_.reset();
  EXPECT_EQ(Call(kEcho, "").status(),
            absl::UnavailableError("connect " + target + ": Connection refused"));
  EXPECT_FALSE(channel_->connected());
}

TEST_F(UnaryTest, ServerStoppedMidCallIsUnavailableAndAReplyAfterIsHarmless) {
  Connect();
  std::promise<absl::Status> promise;
  channel_->Call(kNever, "", {}, [&](absl::StatusOr<std::string> response) {
    promise.set_value(response.status());
  });
  for (;;) {
    std::lock_guard lock(echo_->mu);
    if (!echo_->kept.empty()) break;
  }
  echo_->server->Stop();
  EXPECT_EQ(promise.get_future().get().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(echo_->cancelled, 1);
  const ServerCallPtr call = echo_->kept[0];
  EXPECT_TRUE(call->cancelled());
  call->Reply(std::string("nobody"));
  echo_.reset();
  call->Finish(absl::OkStatus());
}

TEST_F(UnaryTest, ReconnectsAfterTheServerCameBack) {
  Connect();
  EXPECT_EQ(Call(kEcho, "a").value(), "a");
  const uint16_t port = echo_->port;
  echo_ = nullptr;
  EXPECT_EQ(Call(kEcho, "b").status().code(), absl::StatusCode::kUnavailable);
  echo_ = std::make_unique<EchoServer>();
  ASSERT_EQ(echo_->server->Listen("127.0.0.1", port).value(), port);
  EXPECT_EQ(
      Call(kEcho, "c", {.deadline = client_loop_.Now() + kLong, .wait_for_ready = true}).value(),
      "c");
}

TEST_F(UnaryTest, WaitForReadyEndsWithTheDeadline) {
  Channel channel(client_loop_, "127.0.0.1:1");
  std::promise<absl::Status> promise;
  channel.Call(kEcho, "",
               {.deadline = client_loop_.Now() + milliseconds(200), .wait_for_ready = true},
               [&](absl::StatusOr<std::string> response) { promise.set_value(response.status()); });
  EXPECT_EQ(promise.get_future().get().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(UnaryTest, ClosingTheChannelCancelsItsCalls) {
  Connect();
  std::promise<absl::Status> promise;
  channel_->Call(kNever, "", {}, [&](absl::StatusOr<std::string> response) {
    promise.set_value(response.status());
  });
  channel_->Close();
  EXPECT_EQ(promise.get_future().get().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Call(kEcho, "").status().code(), absl::StatusCode::kCancelled);
}

TEST_F(UnaryTest, ListenNamesATakenAddress) {
  Connect();
  EchoServer other;
  EXPECT_EQ(other.server->Listen("127.0.0.1", echo_->port).status(),
            absl::UnavailableError("listen " + echo_->target() + ": address already in use"));
}

TEST_F(UnaryTest, MetadataReachesTheHandler) {
  echo_ = std::make_unique<EchoServer>();
  echo_->server->RegisterUnary("/test.Meta/Get", [](ServerCallPtr call) {
    call->Reply(std::string(call->Metadata(call->request())) + "@" + call->peer().substr(0, 10));
  });
  echo_->Listen();
  channel_ = std::make_unique<Channel>(client_loop_, echo_->target());
  EXPECT_EQ(Call("/test.Meta/Get", "token", {.metadata = {{"token", "secret"}}}).value(),
            "secret@127.0.0.1:");
  EXPECT_EQ(Call("/test.Meta/Get", "absent").value(), "@127.0.0.1:");
}

TEST_F(UnaryTest, DrainLetsCallsEndAndTakesNoMore) {
  Connect();
  std::promise<absl::StatusOr<std::string>> promise;
  channel_->Call(kNever, "", {}, [&](absl::StatusOr<std::string> response) {
    promise.set_value(std::move(response));
  });
  ServerCallPtr call;
  while (call == nullptr) {
    std::lock_guard lock(echo_->mu);
    if (!echo_->kept.empty()) call = echo_->kept[0];
  }
  std::promise<void> drained;
  echo_->server->Drain(kLong, [&] { drained.set_value(); });
  auto done = drained.get_future();
  EXPECT_EQ(done.wait_for(milliseconds(100)), std::future_status::timeout);
  EXPECT_EQ(Call(kEcho, "").status().code(), absl::StatusCode::kUnavailable);
  call->Reply(std::string("in the end"));
  EXPECT_EQ(promise.get_future().get().value(), "in the end");
  EXPECT_EQ(done.wait_for(kLong), std::future_status::ready);
}

TEST_F(UnaryTest, DrainIsBounded) {
  Connect();
  std::promise<absl::Status> promise;
  channel_->Call(kNever, "", {}, [&](absl::StatusOr<std::string> response) {
    promise.set_value(response.status());
  });
  for (;;) {
    std::lock_guard lock(echo_->mu);
    if (!echo_->kept.empty()) break;
  }
  std::promise<void> drained;
  echo_->server->Drain(milliseconds(50), [&] { drained.set_value(); });
  EXPECT_EQ(drained.get_future().wait_for(kLong), std::future_status::ready);
  EXPECT_EQ(promise.get_future().get().code(), absl::StatusCode::kUnavailable);
}

TEST_F(UnaryTest, CountsWhatItDid) {
  Connect();
  EXPECT_TRUE(Call(kEcho, "x").ok());
  EXPECT_FALSE(Call(kFail, "x").ok());
  const ServerStats stats = echo_->server->Stats();
  EXPECT_EQ(stats.connections_open, 1u);
  EXPECT_EQ(stats.connections_accepted, 1u);
  EXPECT_GT(stats.bytes_received, 0u);
  EXPECT_GT(stats.bytes_sent, 0u);
  EXPECT_EQ(stats.methods[0].path, kEcho);
  EXPECT_EQ(stats.methods[0].started, 1u);
  EXPECT_EQ(stats.methods[0].handled[0], 1u);
  EXPECT_EQ(stats.methods[1].handled[static_cast<int>(absl::StatusCode::kNotFound)], 1u);
}

}  // namespace
}  // namespace keel::rpc
