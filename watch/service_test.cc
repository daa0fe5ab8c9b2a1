#include "watch/service.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "watch/service_testing.h"

namespace keel::watch {
namespace {

using std::literals::operator""s;

// Streams end on their own loops, a little after the client has seen it.
void AwaitStreams(const TestServer& server, int64_t count) {
  for (int i = 0; i < 2000 && server.hub.Stats().streams != count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(server.hub.Stats().streams, count);
}

TEST(WatchServiceTest, CreatesDeliversAndCancels) {
  TestServer server;
  server.Put("a", "0");
  TestClient client(server);
  client.Create("a");
  WatchResponse created = client.Next();
  EXPECT_EQ(created.header().cluster_id(), 11u);
  EXPECT_EQ(created.header().member_id(), 22u);
  EXPECT_EQ(created.header().raft_term(), 33u);
  EXPECT_EQ(created.header().revision(), 2);
  EXPECT_EQ(created.watch_id(), 0);
  EXPECT_TRUE(created.created());
  EXPECT_FALSE(created.canceled());

  server.Put("b", "1");
  server.Put("a", "2");
  WatchResponse event = client.Next();
  EXPECT_EQ(event.header().cluster_id(), 11u);
  EXPECT_EQ(event.header().revision(), 4);
  EXPECT_FALSE(event.created());
  ASSERT_EQ(event.events_size(), 1);
  EXPECT_EQ(event.events(0).kv().value(), "2");
  EXPECT_EQ(event.events(0).kv().create_revision(), 2);

  client.Cancel(7);  // not there: no answer
  client.Cancel(0);
  WatchResponse canceled = client.Next();
  EXPECT_TRUE(canceled.canceled());
  EXPECT_FALSE(canceled.created());
  EXPECT_EQ(canceled.watch_id(), 0);
  EXPECT_EQ(canceled.header().revision(), 4);
  EXPECT_EQ(canceled.cancel_reason(), "");
  server.Put("a", "3");
  EXPECT_TRUE(client.Quiet());
}

TEST(WatchServiceTest, RefusesAsEtcdDoes) {
  TestServer server;
  for (int i = 0; i < 5; ++i) server.Put("a", "v");
  server.feed.Compact(4);
  TestClient client(server);
  WatchCreateRequest create;
  create.set_key("a");
  create.set_watch_id(7);
  client.Create(create);
  EXPECT_EQ(client.Next().watch_id(), 7);

  client.Create(create);
  WatchResponse duplicate = client.Next();
  EXPECT_EQ(duplicate.watch_id(), -1);
  EXPECT_TRUE(duplicate.created());
  EXPECT_TRUE(duplicate.canceled());
  EXPECT_EQ(duplicate.cancel_reason(), "mvcc: duplicate watch ID provided on the WatchStream");
  EXPECT_EQ(duplicate.header().revision(), 6);

  client.Create("c", "a");
  WatchResponse empty = client.Next();
  EXPECT_EQ(empty.watch_id(), -1);
  EXPECT_TRUE(empty.created() && empty.canceled());
  EXPECT_EQ(empty.cancel_reason(), "mvcc: watcher range is empty");

  client.Create("a", "", 3);
  WatchResponse created = client.Next();
  EXPECT_TRUE(created.created());
  EXPECT_FALSE(created.canceled());
  WatchResponse compacted = client.Next();
  EXPECT_EQ(compacted.watch_id(), created.watch_id());
  EXPECT_TRUE(compacted.canceled());
  EXPECT_EQ(compacted.compact_revision(), 4);
  EXPECT_EQ(compacted.header().revision(), 0);
  EXPECT_EQ(compacted.cancel_reason(), "");

  client.Create("a", "", 4);
  EXPECT_TRUE(client.Next().created());
  EXPECT_EQ(client.Next().events_size(), 3);
}

TEST(WatchServiceTest, KeysAndRangesFollowEtcdsRules) {
  TestServer server;
  TestClient client(server);
  client.Create("");             // 0: the key "\0"
  client.Create("", "\0"s);      // 1: all
  client.Create("b", "\0"s);     // 2: from "b"
  client.Create("a", "b");       // 3
  client.Create("ab", "ab\0"s);  // 4: the key "ab"
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(client.Next().created());
  const auto receivers = [&](const std::string& key, int count) {
    server.Put(key, "v");
    std::vector<int64_t> ids;
    for (int i = 0; i < count; ++i) ids.push_back(client.Next().watch_id());
    std::sort(ids.begin(), ids.end());
    return ids;
  };
  EXPECT_EQ(receivers("\0"s, 2), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(receivers("ab", 3), (std::vector<int64_t>{1, 3, 4}));
  EXPECT_EQ(receivers("aba", 2), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(receivers("b", 2), (std::vector<int64_t>{1, 2}));
  EXPECT_TRUE(client.Quiet());
}

TEST(WatchServiceTest, CatchesUpWithPreviousValues) {
  TestServer server;
  for (int i = 0; i < 100; ++i) server.Put("a", std::to_string(i));
  TestClient client(server);
  WatchCreateRequest create;
  create.set_key("a");
  create.set_start_revision(2);
  create.set_prev_kv(true);
  client.Create(create);
  EXPECT_TRUE(client.Next().created());
  int64_t next = 0;
  while (next < 100) {
    const WatchResponse response = client.Next();
    ASSERT_GT(response.events_size(), 0);
    for (const auto& event : response.events()) {
      EXPECT_EQ(event.kv().value(), std::to_string(next));
      EXPECT_EQ(event.prev_kv().value(), next == 0 ? "" : std::to_string(next - 1));
      ++next;
    }
  }
}

TEST(WatchServiceTest, AnswersProgressRequests) {
  TestServer server;
  server.Put("a", "v");
  TestClient client(server);
  client.Create("a", "", 1);
  client.RequestProgress();
  EXPECT_TRUE(client.Next().created());
  EXPECT_EQ(client.Next().events_size(), 1);
  WatchResponse progress = client.Next();
  EXPECT_EQ(progress.watch_id(), -1);
  EXPECT_EQ(progress.header().revision(), 2);
  EXPECT_EQ(progress.events_size(), 0);
  EXPECT_FALSE(progress.created() || progress.canceled());
}

TEST(WatchServiceTest, NotifiesIdleWatchersOfProgress) {
  TestServer server({.progress_notify_interval = std::chrono::milliseconds(50)});
  TestClient client(server);
  WatchCreateRequest create;
  create.set_key("a");
  create.set_progress_notify(true);
  client.Create(create);
  EXPECT_TRUE(client.Next().created());
  server.Put("b", "v");
  WatchResponse progress;
  do {
    progress = client.Next();
    ASSERT_EQ(progress.events_size(), 0);
    ASSERT_EQ(progress.watch_id(), 0);
  } while (progress.header().revision() == 1);
  EXPECT_EQ(progress.header().revision(), 2);
}

TEST(WatchServiceTest, FragmentsWhatIsLargerThanARequestMayBe) {
  TestServer server;
  TestClient client(server);
  WatchCreateRequest create;
  create.set_key("f");
  create.set_range_end("g");
  create.set_fragment(true);
  client.Create(create);
  create.set_fragment(false);
  client.Create(create);
  EXPECT_TRUE(client.Next().created());
  EXPECT_TRUE(client.Next().created());
  std::vector<FakeFeed::Write> writes;
  for (int i = 10; i < 40; ++i) {
    writes.push_back({"f" + std::to_string(i), std::string(200 << 10, 'v')});
  }
  const int64_t revision = server.Apply(writes);
  int whole = 0, pieces = 0, events = 0;
  for (bool more = true; more || whole == 0;) {
    const WatchResponse response = client.Next();
    ASSERT_GT(response.events_size(), 0);
    EXPECT_EQ(response.header().revision(), revision);
    if (response.watch_id() == 1) {
      ++whole;
      EXPECT_EQ(response.events_size(), 30);
      EXPECT_FALSE(response.fragment());
      continue;
    }
    ++pieces;
    EXPECT_LT(response.ByteSizeLong(), 2u << 20);
    for (const auto& event : response.events()) EXPECT_EQ(event.kv().key(), writes[events++].key);
    more = response.fragment();
    EXPECT_EQ(more, events < 30);
  }
  EXPECT_EQ(pieces, 3);
}

TEST(WatchServiceTest, AHalfClosedStreamGoesOnDelivering) {
  TestServer server;
  TestClient client(server);
  client.Create("a");
  EXPECT_TRUE(client.Next().created());
  client.stream().CloseSend();
  server.Put("a", "v");
  EXPECT_EQ(client.Next().events_size(), 1);
}

TEST(WatchServiceTest, GarbageEndsTheStreamAndNothingElse) {
  TestServer server;
  TestClient good(server), bad(server);
  good.Create("a");
  EXPECT_TRUE(good.Next().created());
  bad.Send(WatchRequest());  // no request in it: ignored
  bad.Create("a");
  EXPECT_TRUE(bad.Next().created());
  bad.stream().Send(std::string("\xff\xff\xff\xff"));
  EXPECT_EQ(bad.Status().code(), absl::StatusCode::kInternal);
  server.Put("a", "v");
  EXPECT_EQ(good.Next().events_size(), 1);
  AwaitStreams(server, 1);
}

TEST(WatchServiceTest, StreamsThatNeedALeaderEndWithoutOne) {
  std::atomic<bool> has_leader{true};
  TestServer server({}, {.has_leader = [&] { return has_leader.load(); }});
  const rpc::CallOptions needs_leader{.metadata = {{"hasleader", "true"}}};
  TestClient needing(server, {}, needs_leader), patient(server);
  needing.Create("a");
  patient.Create("a");
  EXPECT_TRUE(needing.Next().created());
  EXPECT_TRUE(patient.Next().created());
  has_leader = false;
  server.service.EndStreamsWithoutLeader();
  EXPECT_EQ(needing.Status(), absl::UnavailableError("etcdserver: no leader"));
  TestClient late(server, {}, needs_leader);
  EXPECT_EQ(late.Status(), absl::UnavailableError("etcdserver: no leader"));
  server.Put("a", "v");
  EXPECT_EQ(patient.Next().events_size(), 1);
}

// Everybody may watch "open" while it is so, and root everything.
struct TestGuard final : Guard {
  bool on() const override { return asks; }
  const std::atomic<uint64_t>& epoch() const override { return moved; }
  void Admit(const rpc::ServerCallPtr& call, std::string_view key, std::string_view range_end,
             Admitted done) override {
    std::string user(call->Metadata("token"));
    if (user.empty()) user = "somebody";
    absl::StatusOr<std::string> answer = user;
    if (!Allows(user, key, range_end)) {
      answer = absl::PermissionDeniedError("etcdserver: permission denied");
    }
    if (!later) return done(std::move(answer));
    call->loop().Post([done = std::move(done), answer = std::move(answer)]() mutable {
      done(std::move(answer));
    });
  }
  bool Allows(std::string_view user, std::string_view key, std::string_view) const override {
    return !asks || user == "root" || (!user.empty() && open && key == "open");
  }
  std::string_view denial() const override { return "denied"; }

  std::atomic<bool> asks{true}, open{true}, later{false};
  std::atomic<uint64_t> moved{1};
};

TEST(WatchServiceTest, RefusesWhomMayNotRead) {
  TestGuard guard;
  TestServer server({}, {.guard = &guard});
  TestClient client(server), root(server, {}, {.metadata = {{"token", "root"}}});
  client.Create("secret");
  WatchResponse refused = client.Next();
  EXPECT_TRUE(refused.created() && refused.canceled());
  EXPECT_EQ(refused.watch_id(), -1);
  EXPECT_EQ(refused.cancel_reason(), "etcdserver: permission denied");
  client.Create("open");
  EXPECT_FALSE(client.Next().canceled());
  root.Create("secret");
  EXPECT_FALSE(root.Next().canceled());
}

// GHSA-xg4h-6gfc-h4m8 was about the first of both; the second is as bad.
TEST(WatchServiceTest, SendsNothingAfterARightIsGone) {
  TestGuard guard;
  TestServer server({}, {.guard = &guard});
  TestClient client(server), root(server, {}, {.metadata = {{"token", "root"}}});
  client.Create("open");
  ASSERT_TRUE(client.Next().created());
  root.Create("open");
  ASSERT_TRUE(root.Next().created());
  server.Put("open", "1");
  EXPECT_EQ(client.Next().events_size(), 1);
  EXPECT_EQ(root.Next().events_size(), 1);

  guard.open = false;
  guard.moved.fetch_add(1);
  server.Put("open", "2");
  EXPECT_EQ(root.Next().events_size(), 1);
  const WatchResponse cancelled = client.Next();
  EXPECT_TRUE(cancelled.canceled());
  EXPECT_EQ(cancelled.events_size(), 0);
  EXPECT_EQ(cancelled.cancel_reason(), "denied");
}

TEST(WatchServiceTest, CancelsAnIdleWatcherWhoseRightIsGone) {
  TestGuard guard;
  TestServer server({}, {.guard = &guard});
  TestClient client(server), root(server, {}, {.metadata = {{"token", "root"}}});
  client.Create("open");
  ASSERT_TRUE(client.Next().created());
  root.Create("open");
  ASSERT_TRUE(root.Next().created());
  guard.open = false;
  guard.moved.fetch_add(1);
  server.service.RecheckRights();
  EXPECT_TRUE(client.Next().canceled());
  server.Put("open", "1");
  EXPECT_EQ(root.Next().events_size(), 1);
}

TEST(WatchServiceTest, WatchersOfNobodyEndWhenUsersAreAskedFor) {
  TestGuard guard;
  guard.asks = false;
  TestServer server({}, {.guard = &guard});
  TestClient client(server);
  client.Create("secret");
  ASSERT_TRUE(client.Next().created());
  guard.asks = true;
  guard.moved.fetch_add(1);
  server.service.RecheckRights();
  EXPECT_TRUE(client.Next().canceled());
}

TEST(WatchServiceTest, WhatComesBehindACreationThatTakesTimeWaits) {
  TestGuard guard;
  guard.later = true;
  TestServer server({}, {.guard = &guard});
  TestClient client(server);
  client.Create("open");
  client.Create("secret");
  client.Create("open");
  EXPECT_FALSE(client.Next().canceled());
  EXPECT_TRUE(client.Next().canceled());
  EXPECT_FALSE(client.Next().canceled());
}

TEST(WatchServiceTest, AClosedConnectionTakesItsWatchersAlong) {
  TestServer server;
  {
    TestClient client(server);
    client.Create("a");
    client.Create("b");
    client.Next();
    client.Next();
    EXPECT_EQ(server.hub.Stats().watchers, 2);
  }
  AwaitStreams(server, 0);
  EXPECT_EQ(server.hub.Stats().watchers, 0);
}

// Writers, readers of the past and of the present, on several loops at once.
TEST(WatchServiceTest, EveryStreamSeesEveryEventWhileManyWrite) {
  constexpr int kClients = 8, kWrites = 3000;
  TestServer server({.recent_bytes_max = 20'000, .history_scanned_max = 100});
  std::vector<std::unique_ptr<TestClient>> clients;
  std::thread writer([&] {
    for (int i = 0; i < kWrites; ++i) server.Put("k" + std::to_string(i % 10), "v");
  });
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<TestClient>(server));
    clients.back()->Create("k", "l", 2);
    clients.back()->Create("k3", "", 2);
  }
  for (auto& client : clients) {
    int64_t next = 2, next_of_one = 5;
    while (next < kWrites + 2 || next_of_one < kWrites + 2) {
      const WatchResponse response = client->Next();
      ASSERT_TRUE(response.created() || response.events_size() > 0);
      for (const auto& event : response.events()) {
        int64_t& expected = response.watch_id() == 0 ? next : next_of_one;
        ASSERT_EQ(event.kv().mod_revision(), expected);
        expected += response.watch_id() == 0 ? 1 : 10;
      }
    }
  }
  writer.join();
}

}  // namespace
}  // namespace keel::watch
