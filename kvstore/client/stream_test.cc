// Watches and lease keep-alives across broken connections.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <thread>

#include "kvstore/client/client.h"
#include "kvstore/client/fake_server_test.h"

namespace keel::kvstore {
namespace {

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

constexpr seconds kLong(30);

WatchRequest Parse(std::string_view bytes) {
  WatchRequest request;
  EXPECT_TRUE(request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  return request;
}

std::string Created(int64_t id, int64_t revision) {
  WatchResponse response;
  response.mutable_header()->set_revision(revision);
  response.set_watch_id(id);
  response.set_created(true);
  return response.SerializeAsString();
}

std::string Events(int64_t id, std::vector<int64_t> revisions, bool fragment = false) {
  WatchResponse response;
  response.mutable_header()->set_revision(revisions.back());
  response.set_watch_id(id);
  response.set_fragment(fragment);
  for (const int64_t revision : revisions) {
    auto* event = response.add_events();
    event->mutable_kv()->set_key("k");
    event->mutable_kv()->set_mod_revision(revision);
  }
  return response.SerializeAsString();
}

std::vector<int64_t> Revisions(const WatchResponse& response) {
  std::vector<int64_t> revisions;
  for (const auto& event : response.events()) revisions.push_back(event.kv().mod_revision());
  return revisions;
}

std::unique_ptr<Client> Connect(std::vector<std::string> endpoints, ClientOptions options = {}) {
  options.endpoints = std::move(endpoints);
  return *Client::Create(options);
}

TEST(Watch, GoesOnAtTheNextServerWhereItLeftOffWithoutRepeating) {
  FakeServer first, second;
  first.OnStream(kWatch, [](rpc::ServerCall& call, std::string_view bytes) {
    const auto request = Parse(bytes);
    EXPECT_EQ(request.create_request().start_revision(), 0);
    call.Send(Created(request.create_request().watch_id(), 10));
    call.Send(Events(request.create_request().watch_id(), {11, 12, 12}));
  });
  std::atomic<int64_t> resumed_at = 0;
  second.OnStream(kWatch, [&](rpc::ServerCall& call, std::string_view bytes) {
    const auto request = Parse(bytes);
    resumed_at = request.create_request().start_revision();
    call.Send(Created(request.create_request().watch_id(), 12));
    // A server that sends more than it was asked for.
    call.Send(Events(request.create_request().watch_id(), {12, 13}));
  });
  auto client = Connect({first.target(), second.target()});
  WatchReader reader(*client, "k");
  ASSERT_TRUE(reader.WaitUntilCreated(kLong).ok());
  EXPECT_THAT(Revisions(*reader.Next(kLong)), ElementsAre(11, 12, 12));
  first.BreakStreams(absl::UnavailableError("etcdserver: server stopped"));
  EXPECT_THAT(Revisions(*reader.Next(kLong)), ElementsAre(13));
  EXPECT_EQ(resumed_at, 13);
}

TEST(Watch, MissesNothingWhenItBreaksBeforeTheFirstEvent) {
  FakeServer server;
  std::mutex mu;
  std::vector<int64_t> starts;
  server.OnStream(kWatch, [&](rpc::ServerCall& call, std::string_view bytes) {
    const auto request = Parse(bytes);
    {
      std::lock_guard lock(mu);
      starts.push_back(request.create_request().start_revision());
    }
    call.Send(Created(request.create_request().watch_id(), 40));
  });
  auto client = Connect({server.target()});
  WatchReader reader(*client, "k");
  ASSERT_TRUE(reader.WaitUntilCreated(kLong).ok());
  server.BreakStreams(absl::UnavailableError("gone"));
  const auto again = [&] {
    std::lock_guard lock(mu);
    return starts.size() >= 2;
  };
  for (int i = 0; i < 3000 && !again(); ++i) std::this_thread::sleep_for(milliseconds(10));
  std::lock_guard lock(mu);
  ASSERT_GE(starts.size(), 2u);
  EXPECT_EQ(starts[0], 0);
  EXPECT_EQ(starts[1], 41);
}

TEST(Watch, TakesProgressForWhereToGoOn) {
  FakeServer server;
  std::atomic<int64_t> last_start = 0;
  server.OnStream(kWatch, [&](rpc::ServerCall& call, std::string_view bytes) {
    const auto request = Parse(bytes);
    last_start = request.create_request().start_revision();
    call.Send(Created(request.create_request().watch_id(), 5));
    WatchResponse progress;
    progress.set_watch_id(request.create_request().watch_id());
    progress.mutable_header()->set_revision(100);
    call.Send(progress.SerializeAsString());
  });
  auto client = Connect({server.target()});
  WatchReader reader(*client, "k", {.progress_notify = true});
  EXPECT_EQ(reader.Next(kLong)->header().revision(), 100);
  server.BreakStreams(absl::UnavailableError("gone"));
  EXPECT_EQ(reader.Next(kLong)->header().revision(), 100);
  EXPECT_EQ(last_start, 101);
}

TEST(Watch, PutsFragmentsOfARevisionTogether) {
  FakeServer server;
  server.OnStream(kWatch, [](rpc::ServerCall& call, std::string_view bytes) {
    const int64_t id = Parse(bytes).create_request().watch_id();
    call.Send(Created(id, 1));
    call.Send(Events(id, {2, 2}, true));
    call.Send(Events(id, {2}, true));
    call.Send(Events(id, {2, 3}));
    call.Send(Events(id, {4}));
  });
  auto client = Connect({server.target()});
  WatchReader reader(*client, "k");
  EXPECT_THAT(Revisions(*reader.Next(kLong)), ElementsAre(2, 2, 2, 2, 3));
  EXPECT_THAT(Revisions(*reader.Next(kLong)), ElementsAre(4));
}

TEST(Watch, EndsWithTheOldestRevisionLeftWhenHistoryIsCompacted) {
  FakeServer server;
  server.OnStream(kWatch, [](rpc::ServerCall& call, std::string_view bytes) {
    const int64_t id = Parse(bytes).create_request().watch_id();
    call.Send(Created(id, 90));
    WatchResponse canceled;
    canceled.set_watch_id(id);
    canceled.set_canceled(true);
    canceled.set_compact_revision(77);
    call.Send(canceled.SerializeAsString());
  });
  auto client = Connect({server.target()});
  WatchReader reader(*client, "k", {.start_revision = 3});
  EXPECT_EQ(reader.Next(kLong).status(),
            absl::OutOfRangeError("etcdserver: mvcc: required revision has been compacted"));
  EXPECT_EQ(reader.end()->compact_revision, 77);
}

TEST(Watch, KeepsManyApartOnOneStream) {
  FakeServer server;
  server.OnStream(kWatch, [](rpc::ServerCall& call, std::string_view bytes) {
    const auto request = Parse(bytes);
    if (!request.has_create_request()) return;
    const int64_t id = request.create_request().watch_id();
    call.Send(Created(id, 1));
    call.Send(Events(id, {std::stoll(request.create_request().key())}));
  });
  auto client = Connect({server.target()});
  std::vector<std::unique_ptr<WatchReader>> readers;
  for (int i = 2; i < 102; ++i)
    readers.push_back(std::make_unique<WatchReader>(*client, std::to_string(i)));
  for (int i = 2; i < 102; ++i) {
    EXPECT_THAT(Revisions(*readers[static_cast<size_t>(i - 2)]->Next(kLong)), ElementsAre(i));
  }
  EXPECT_EQ(server.calls(kWatch), 1);
}

TEST(Watch, EndsWhenNoServerCanBeReachedInTime) {
  std::string dead;
  {
    FakeServer gone;
    dead = gone.target();
  }
  auto client = Connect({dead}, {.dial_timeout = milliseconds(200)});
  WatchReader never(*client, "k");
  const absl::Status status = never.WaitUntilCreated(kLong);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(base::ToStd(status.message())),
              testing::StartsWith("no endpoint answers: "));

  auto server = std::make_unique<FakeServer>();
  server->OnStream(kWatch, [](rpc::ServerCall& call, std::string_view bytes) {
    call.Send(Created(Parse(bytes).create_request().watch_id(), 1));
  });
  auto other = Connect({server->target()});
  WatchReader reader(*other, "k", {.reconnect_timeout = milliseconds(300)});
  ASSERT_TRUE(reader.WaitUntilCreated(kLong).ok());
  server.reset();
  EXPECT_EQ(reader.Next(kLong).status().code(), absl::StatusCode::kUnavailable);
}

std::string Renewed(std::string_view bytes, int64_t ttl_seconds) {
  etcdserverpb::LeaseKeepAliveRequest request;
  EXPECT_TRUE(request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
  etcdserverpb::LeaseKeepAliveResponse response;
  response.set_id(request.id());
  response.set_ttl(ttl_seconds);
  return response.SerializeAsString();
}

TEST(KeepAlive, RenewsThreeTimesInATimeToLiveAndAcrossBrokenStreams) {
  FakeServer server;
  std::atomic<int> asked = 0;
  server.OnStream(kKeepAlive, [&](rpc::ServerCall& call, std::string_view bytes) {
    ++asked;
    call.Send(Renewed(bytes, 1));
  });
  auto client = Connect({server.target()});
  std::atomic<int> renewed = 0;
  std::atomic<bool> lost = false;
  auto keeper = client->KeepAlive(
      7, [&](const etcdserverpb::LeaseKeepAliveResponse&) { ++renewed; },
      [&](const absl::Status&) { lost = true; });
  while (renewed < 2) std::this_thread::sleep_for(milliseconds(5));
  server.BreakStreams(absl::UnavailableError("gone"));
  const int before = renewed;
  const auto start = std::chrono::steady_clock::now();
  while (renewed < before + 3 && std::chrono::steady_clock::now() - start < kLong) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_GE(renewed, before + 3);
  EXPECT_FALSE(lost);
  keeper.reset();
  const int after = asked;
  std::this_thread::sleep_for(milliseconds(700));
  EXPECT_LE(asked, after + 1);
}

TEST(KeepAlive, TellsWhenTheLeaseIsGone) {
  FakeServer server;
  server.OnStream(kKeepAlive, [](rpc::ServerCall& call, std::string_view bytes) {
    call.Send(Renewed(bytes, 0));
  });
  auto client = Connect({server.target()});
  std::promise<absl::Status> lost;
  auto keeper =
      client->KeepAlive(7, nullptr, [&](const absl::Status& status) { lost.set_value(status); });
  EXPECT_EQ(lost.get_future().get(), absl::NotFoundError("etcdserver: requested lease not found"));
  EXPECT_EQ(client->KeepAliveOnce(7).status().code(), absl::StatusCode::kNotFound);
}

TEST(KeepAlive, TellsWhenTimeRanOutWithoutAServer) {
  auto server = std::make_unique<FakeServer>();
  server->OnStream(kKeepAlive, [](rpc::ServerCall& call, std::string_view bytes) {
    call.Send(Renewed(bytes, 1));
  });
  auto client = Connect({server->target()});
  std::atomic<int> renewed = 0;
  std::promise<absl::Status> lost;
  auto keeper = client->KeepAlive(
      7, [&](const etcdserverpb::LeaseKeepAliveResponse&) { ++renewed; },
      [&](const absl::Status& status) { lost.set_value(status); });
  while (renewed < 1) std::this_thread::sleep_for(milliseconds(5));
  server.reset();
  EXPECT_EQ(lost.get_future().get().code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace keel::kvstore
