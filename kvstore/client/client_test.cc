#include "kvstore/client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "kvstore/client/fake_server_test.h"

namespace keel::kvstore {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// A port that nobody listens on.
std::string DeadTarget() {
  FakeServer gone;
  return gone.target();
}

std::string RangeWith(std::string_view value) {
  etcdserverpb::RangeResponse response;
  auto* kv = response.add_kvs();
  kv->set_key("k");
  kv->set_value(std::string(value));
  return response.SerializeAsString();
}

std::string StatusOf(uint64_t member, uint64_t leader) {
  etcdserverpb::StatusResponse status;
  status.mutable_header()->set_member_id(member);
  status.set_leader(leader);
  return status.SerializeAsString();
}

std::unique_ptr<Client> Connect(std::vector<std::string> endpoints, ClientOptions options = {}) {
  options.endpoints = std::move(endpoints);
  auto client = Client::Create(options);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

TEST(Client, RefusesEndpointsThatAreNone) {
  EXPECT_EQ(Client::Create({.endpoints = {}}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Client::Create({.endpoints = {"ftp://a:1"}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Client, AnswersBlockingAndAsynchronousCalls) {
  FakeServer server;
  server.On(kRange, [](std::string_view bytes) -> absl::StatusOr<std::string> {
    etcdserverpb::RangeRequest request;
    request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    return RangeWith(request.key() + "|" + request.range_end());
  });
  auto client = Connect({server.target()});
  EXPECT_EQ(client->Get("a", {.range_end = "b"})->kvs(0).value(), "a|b");

  std::promise<std::string> value;
  client->Call(MakeGet("x"), [&](absl::StatusOr<etcdserverpb::RangeResponse> response) {
    value.set_value(response.ok() ? response->kvs(0).value() : response.status().ToString());
  });
  EXPECT_EQ(value.get_future().get(), "x|");
}

TEST(Client, PassesOnWhatTheServerSays) {
  FakeServer server;
  server.On(kPut, [](std::string_view) {
    return absl::InvalidArgumentError("etcdserver: key is not provided");
  });
  auto client = Connect({server.target()});
  EXPECT_EQ(client->Put("", "v").status(),
            absl::InvalidArgumentError("etcdserver: key is not provided"));
  EXPECT_EQ(server.calls(kPut), 1);
}

TEST(Client, FailsOverFromADeadEndpointForReadsAndWrites) {
  FakeServer server;
  server.On(kRange, [](std::string_view) { return RangeWith("v"); });
  server.On(kPut, [](std::string_view) { return etcdserverpb::PutResponse().SerializeAsString(); });
  auto client = Connect({DeadTarget(), server.target()}, {.follow_leader = false});
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(client->Put("k", "v").ok());
    EXPECT_TRUE(client->Get("k").ok());
  }
  EXPECT_EQ(server.calls(kPut), 5);
}

TEST(Client, SaysWhichEndpointsDoNotAnswerOnceTheDialTimeoutIsOver) {
  const std::string one = DeadTarget(), other = DeadTarget();
  auto client =
      Connect({one, other}, {.dial_timeout = milliseconds(200), .request_timeout = seconds(20)});
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status = client->Get("k").status();
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(10));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  const std::string text(base::ToStd(status.message()));
  EXPECT_THAT(text, testing::StartsWith("no endpoint answers: "));
  EXPECT_THAT(text, HasSubstr(one + ": connection refused"));
  EXPECT_THAT(text, HasSubstr(other + ": connection refused"));
}

TEST(Client, RepeatsAReadButNotAWriteWhoseFateIsUnknown) {
  FakeServer flaky, good;
  const auto lost = [](std::string_view) -> absl::StatusOr<std::string> {
    return absl::UnavailableError("etcdserver: leader changed");
  };
  flaky.On(kRange, lost);
  flaky.On(kPut, lost);
  good.On(kRange, [](std::string_view) { return RangeWith("v"); });
  good.On(kPut, [](std::string_view) { return std::string(); });
  {
    auto client = Connect({flaky.target(), good.target()}, {.follow_leader = false});
    EXPECT_TRUE(client->Get("k").ok());
    EXPECT_EQ(flaky.calls(kRange), 1);
  }
  auto client = Connect({flaky.target(), good.target()}, {.follow_leader = false});
  EXPECT_EQ(client->Put("k", "v").status(), absl::UnavailableError("etcdserver: leader changed"));
  EXPECT_EQ(flaky.calls(kPut), 1);
  EXPECT_EQ(good.calls(kPut), 0);
}

TEST(Client, RepeatsAWriteThatNoLeaderTook) {
  FakeServer server;
  int refusals = 3;
  server.On(kPut, [&](std::string_view) -> absl::StatusOr<std::string> {
    if (refusals-- > 0) return absl::UnavailableError("etcdserver: no leader");
    return std::string();
  });
  auto client = Connect({server.target()}, {.request_timeout = seconds(20)});
  EXPECT_TRUE(client->Put("k", "v").ok());
  EXPECT_EQ(server.calls(kPut), 4);
}

TEST(Client, RepeatsATransactionOnlyIfItWritesNothing) {
  FakeServer server;
  server.On(kTxn, [](std::string_view) {
    return absl::UnavailableError("etcdserver: request timed out");
  });
  auto client = Connect({server.target()}, {.request_timeout = milliseconds(300)});
  EXPECT_FALSE(client->Txn(TxnBuilder().Then(MakeGet("a")).Else(MakePut("a", "1"))).ok());
  EXPECT_EQ(server.calls(kTxn), 1);
  EXPECT_FALSE(
      client->Txn(TxnBuilder().Then(MakeGet("a")).Else(TxnBuilder().Then(MakeGet("b")).request()))
          .ok());
  EXPECT_GT(server.calls(kTxn), 2);
}

TEST(Client, LeavesASilentServerForAnotherWithinTheTimeOfARead) {
  FakeServer silent, good;
  silent.On(kRange, [](std::string_view) { return Silence(); });
  good.On(kRange, [](std::string_view) { return RangeWith("v"); });
  auto client = Connect({silent.target(), good.target()}, {.request_timeout = seconds(2)});
  EXPECT_TRUE(client->Get("k").ok());
}

TEST(Client, EndsEveryCallWithinItsTimeout) {
  FakeServer silent;
  silent.On(kRange, [](std::string_view) { return Silence(); });
  auto client = Connect({silent.target()});
  EXPECT_EQ(client->Await(MakeGet("k"), {.timeout = milliseconds(100)}).status(),
            absl::DeadlineExceededError("context deadline exceeded"));
}

TEST(Client, SendsWritesToTheLeaderOnceItIsKnown) {
  FakeServer a, b, c;
  FakeServer* all[] = {&a, &b, &c};
  for (int i = 0; i < 3; ++i) {
    all[i]->On(kStatus,
               [i](std::string_view) { return StatusOf(static_cast<uint64_t>(i + 1), 3); });
    all[i]->On(kPut, [](std::string_view) { return std::string(); });
  }
  auto client = Connect({a.target(), b.target(), c.target()});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(client->Put("k", "v").ok());
  EXPECT_EQ(c.calls(kPut), 10);
}

TEST(Client, AsksTheServerThatIsNamedAndNoOther) {
  FakeServer a, b;
  a.On(kStatus, [](std::string_view) { return StatusOf(1, 1); });
  b.On(kStatus, [](std::string_view) { return StatusOf(2, 1); });
  auto client = Connect({a.target()});
  EXPECT_EQ(client->Await(etcdserverpb::StatusRequest(), {.endpoint = "http://" + b.target()})
                ->header()
                .member_id(),
            2u);
  EXPECT_EQ(
      client->Await(etcdserverpb::StatusRequest(), {.endpoint = "not an address"}).status().code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(Client, EndsWhatIsOpenWhenDestroyed) {
  FakeServer silent;
  silent.On(kRange, [](std::string_view) { return Silence(); });
  auto client = Connect({silent.target(), DeadTarget()});
  std::atomic<int> cancelled = 0;
  for (int i = 0; i < 10; ++i) {
    client->Call(MakeGet("k"), [&](absl::StatusOr<etcdserverpb::RangeResponse> response) {
      if (absl::IsCancelled(response.status())) ++cancelled;
    });
  }
  absl::Status watch_end;
  auto watch = client->Watch(
      "k", {}, [](etcdserverpb::WatchResponse&) {},
      [&](const WatchEnd& end) { watch_end = end.status; });
  client.reset();
  EXPECT_EQ(cancelled, 10);
  EXPECT_TRUE(absl::IsCancelled(watch_end));
  watch.reset();  // A handle may outlive its client.
}

TEST(Client, RunsOnALoopOfTheCallers) {
  FakeServer server;
  server.On(kRange, [](std::string_view) { return RangeWith("v"); });
  base::AsioLoop loop("mine");
  loop.Start();
  {
    auto client = Client::Create({.endpoints = {server.target()}}, &loop);
    ASSERT_TRUE(client.ok());
    std::promise<bool> in_loop;
    (*client)->Call(MakeGet("k"), [&](auto) { in_loop.set_value(loop.InLoop()); });
    EXPECT_TRUE(in_loop.get_future().get());
  }
  loop.Stop();
}

}  // namespace
}  // namespace keel::kvstore
