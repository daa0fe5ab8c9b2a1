#include "watch/hub.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "watch/testing.h"

namespace keel::watch {
namespace {

using std::literals::operator""s;

class HubTest : public testing::Test {
 protected:
  void Start(const HubOptions& options = {}) {
    hub_ = std::make_unique<Hub>(feed_, worker_, options);
    hub_->Start();
  }
  void Settle() { RunUntilIdle({&io_, &worker_}); }
  void PublishAndSettle() {
    feed_.Publish();
    Settle();
  }
  static std::vector<int64_t> Revisions(const RecordingSink& sink, int64_t watch_id) {
    std::vector<int64_t> revisions;
    for (const auto& received : sink.all) {
      if (received.watch_id != watch_id) continue;
      for (const auto& event : received.events) revisions.push_back(event.kv().mod_revision());
    }
    return revisions;
  }

  FakeFeed feed_;
  ManualLoop io_, worker_;
  std::unique_ptr<Hub> hub_;
};

const KeyRange kA = KeyRange::FromRequest("a", "");
const KeyRange kAll = KeyRange::All();

TEST_F(HubTest, DeliversWhatIsPublishedAfterCreation) {
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  feed_.Put("a", "0");
  PublishAndSettle();
  auto created = stream->Create({.range = kA});
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(created->watch_id, 0);
  EXPECT_EQ(created->revision, 2);
  feed_.Put("b", "1");
  feed_.Put("a", "2");
  PublishAndSettle();
  ASSERT_EQ(sink.all.size(), 1u);
  EXPECT_EQ(sink.all[0].revision, 4);
  EXPECT_EQ(sink.all[0].events[0].kv().value(), "2");
  EXPECT_EQ(sink.all[0].events[0].kv().version(), 2);
  EXPECT_FALSE(sink.all[0].events[0].has_prev_kv());
}

TEST_F(HubTest, EventsAppliedButNotYetPublishedAtCreationAreNotDelivered) {
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  feed_.Put("a", "0");
  EXPECT_EQ(stream->Create({.range = kA})->revision, 2);
  feed_.Put("a", "1");
  PublishAndSettle();
  EXPECT_EQ(Revisions(sink, 0), (std::vector<int64_t>{3}));
}

TEST_F(HubTest, ChoosesIdsAsEtcdDoes) {
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_EQ(stream->Create({.range = kA})->watch_id, 0);
  EXPECT_EQ(stream->Create({.range = kA, .watch_id = 2})->watch_id, 2);
  EXPECT_EQ(stream->Create({.range = kA, .watch_id = -5})->watch_id, -5);
  EXPECT_EQ(stream->Create({.range = kA})->watch_id, 1);
  EXPECT_EQ(stream->Create({.range = kA})->watch_id, 3);
  auto duplicate = stream->Create({.range = kA, .watch_id = 2});
  EXPECT_EQ(duplicate.status().message(), "mvcc: duplicate watch ID provided on the WatchStream");
  auto empty = stream->Create({.range = KeyRange::FromRequest("c", "a")});
  EXPECT_EQ(empty.status().message(), "mvcc: watcher range is empty");
  EXPECT_TRUE(stream->Cancel(0));
  EXPECT_FALSE(stream->Cancel(0));
  EXPECT_EQ(stream->Create({.range = kA})->watch_id, 4);
}

TEST_F(HubTest, CatchesUpFromThePastAndGoesOnLive) {
  for (int i = 0; i < 10; ++i) feed_.Put(i % 2 ? "a" : "b", "v");  // revisions 2..11
  Start({.history_scanned_max = 3});
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 4}).ok());
  EXPECT_EQ(stream->behind_count(), 1u);
  feed_.Put("a", "live");
  PublishAndSettle();
  EXPECT_EQ(stream->behind_count(), 0u);
  EXPECT_EQ(Revisions(sink, 0), (std::vector<int64_t>{5, 7, 9, 11, 12}));
}

TEST_F(HubTest, TheHeaderOfACatchUpIsTheRevisionCaughtUpTo) {
  feed_.Put("a", "v");
  feed_.Put("b", "v");
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 1}).ok());
  Settle();
  ASSERT_EQ(sink.all.size(), 1u);
  EXPECT_EQ(sink.all[0].revision, 3);
}

TEST_F(HubTest, WaitsForAStartRevisionInTheFuture) {
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kAll, .start_revision = 4}).ok());
  for (int i = 0; i < 4; ++i) {
    feed_.Put("a", "v");
    PublishAndSettle();
  }
  EXPECT_EQ(Revisions(sink, 0), (std::vector<int64_t>{4, 5}));
}

TEST_F(HubTest, RefusesACompactedStart) {
  for (int i = 0; i < 5; ++i) feed_.Put("a", "v");
  feed_.Compact(4);
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_EQ(stream->Create({.range = kA, .start_revision = 3})->compact_revision, 4);
  EXPECT_EQ(stream->watcher_count(), 0u);
  EXPECT_EQ(stream->Create({.range = kA, .start_revision = -7})->compact_revision, 4);
  EXPECT_EQ(stream->Create({.range = kA, .start_revision = 4, .watch_id = 9})->compact_revision, 0);
  Settle();
  EXPECT_EQ(Revisions(sink, 9), (std::vector<int64_t>{4, 5, 6}));
}

TEST_F(HubTest, ASlowWatcherOvertakenByCompactionIsCancelled) {
  Start({.recent_bytes_max = 1000, .response_bytes_target = 100});
  RecordingSink sink(/*bytes_max=*/500);
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA}).ok());
  for (int i = 0; i < 100; ++i) {
    feed_.Put("a", std::string(100, 'v'));
    PublishAndSettle();
  }
  EXPECT_EQ(stream->behind_count(), 1u);
  feed_.Compact(50);
  sink.Drain(*stream);
  Settle();
  ASSERT_TRUE(sink.all.back().compacted);
  EXPECT_EQ(sink.all.back().revision, 50);
  EXPECT_EQ(stream->watcher_count(), 0u);
  EXPECT_EQ(hub_->Stats().watchers, 0);
  EXPECT_EQ(hub_->Stats().watchers_behind, 0);
}

TEST_F(HubTest, FiltersAndPreviousValues) {
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  for (const EventFilter& filter :
       {EventFilter{.no_put = true}, EventFilter{.no_delete = true},
        EventFilter{.no_put = true, .no_delete = true}, EventFilter{.prev_kv = true}}) {
    EXPECT_TRUE(stream->Create({.range = kA, .filter = filter}).ok());
  }
  feed_.Put("a", "first");
  PublishAndSettle();
  feed_.Apply({{"a", std::nullopt}});
  PublishAndSettle();
  EXPECT_EQ(Revisions(sink, 0), (std::vector<int64_t>{3}));
  EXPECT_EQ(Revisions(sink, 1), (std::vector<int64_t>{2}));
  EXPECT_EQ(Revisions(sink, 2), (std::vector<int64_t>{}));
  EXPECT_EQ(Revisions(sink, 3), (std::vector<int64_t>{2, 3}));
  for (const auto& received : sink.all) {
    const bool wants = received.watch_id == 3 && received.revision == 3;
    EXPECT_EQ(received.events[0].has_prev_kv(), wants);
    EXPECT_EQ(received.events[0].prev_kv().value(), wants ? "first" : "");
  }
}

TEST_F(HubTest, FragmentsALargeRevisionForThoseWhoAsk) {
  Start({.fragment_bytes_min = 1000});
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kAll, .fragment = true}).ok());
  EXPECT_TRUE(stream->Create({.range = kAll}).ok());
  std::vector<FakeFeed::Write> writes;
  for (char c = 'a'; c < 'k'; ++c) writes.push_back({std::string(1, c), std::string(200, c)});
  feed_.Apply(writes);
  PublishAndSettle();
  std::vector<RecordingSink::Received> pieces;
  size_t whole = 0;
  for (const auto& received : sink.all) {
    if (received.watch_id == 0) {
      pieces.push_back(received);
    } else {
      ++whole;
      EXPECT_FALSE(received.fragment);
      EXPECT_EQ(received.events.size(), 10u);
    }
  }
  EXPECT_EQ(whole, 1u);
  ASSERT_GT(pieces.size(), 1u);
  for (const auto& piece : pieces) {
    EXPECT_EQ(piece.fragment, &piece != &pieces.back());
    EXPECT_LT(piece.bytes, 1000u);
    EXPECT_EQ(piece.revision, 2);
  }
  EXPECT_EQ(Revisions(sink, 0).size(), 10u);
}

TEST_F(HubTest, SeveralRevisionsGoIntoOneResponse) {
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA}).ok());
  for (int i = 0; i < 50; ++i) feed_.Put("a", "v");
  feed_.Publish();
  for (int i = 0; i < 50; ++i) feed_.Put("a", "v");
  PublishAndSettle();
  ASSERT_EQ(sink.all.size(), 1u);
  EXPECT_EQ(sink.all[0].events.size(), 100u);
  EXPECT_EQ(sink.all[0].revision, 101);
}

TEST_F(HubTest, TheSameEventsShareTheirBytes) {
  struct CountingSink final : StreamSink {
    bool full() const override { return false; }
    void SendEvents(const EventsResponse& response) override { parts = response.events; }
    void SendProgress(int64_t, int64_t) override {}
    void SendCompacted(int64_t, int64_t) override {}
    EncodedEvents parts;
  };
  Start();
  CountingSink sinks[3];
  std::vector<std::unique_ptr<Stream>> streams;
  for (CountingSink& sink : sinks) streams.push_back(hub_->OpenStream(io_, sink));
  EXPECT_TRUE(streams[0]->Create({.range = kAll}).ok());
  EXPECT_TRUE(streams[1]->Create({.range = kAll, .watch_id = 4}).ok());
  EXPECT_TRUE(streams[2]->Create({.range = kA}).ok());  // another range, the same event
  feed_.Put("a", "v");
  PublishAndSettle();
  ASSERT_EQ(sinks[0].parts.size(), 1u);
  EXPECT_EQ(sinks[0].parts[0].get(), sinks[1].parts[0].get());
  EXPECT_EQ(sinks[0].parts[0].get(), sinks[2].parts[0].get());
}

TEST_F(HubTest, ASlowReaderCostsBoundedMemoryAndLosesNothing) {
  Start({.recent_bytes_max = 64 << 10, .response_bytes_target = 8 << 10});
  RecordingSink slow(/*bytes_max=*/16 << 10), quick;
  auto slow_stream = hub_->OpenStream(io_, slow);
  auto quick_stream = hub_->OpenStream(io_, quick);
  EXPECT_TRUE(slow_stream->Create({.range = kAll}).ok());
  EXPECT_TRUE(quick_stream->Create({.range = kAll}).ok());
  std::vector<int64_t> expected;
  for (int i = 0; i < 2000; ++i) {
    expected.push_back(feed_.Put("k" + std::to_string(i % 7), std::string(1000, 'v')));
    PublishAndSettle();
  }
  EXPECT_EQ(Revisions(quick, 0), expected);
  EXPECT_EQ(hub_->Stats().watchers_behind, 1);
  EXPECT_EQ(feed_.reads(), 0) << "a stalled reader causes no reads";
  while (slow_stream->behind_count() > 0) {
    slow.Drain(*slow_stream);
    Settle();
  }
  EXPECT_EQ(Revisions(slow, 0), expected);
  EXPECT_LE(slow.queued_bytes_peak(), 25u << 10);
  feed_.Put("k", "live");
  PublishAndSettle();
  EXPECT_EQ(Revisions(slow, 0).size(), 2001u);
}

TEST_F(HubTest, ASnapshotIsBridgedByHistory) {
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA}).ok());
  EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 6}).ok());
  feed_.Put("a", "2");
  PublishAndSettle();
  for (int i = 0; i < 5; ++i) feed_.Put("a", "v");
  feed_.Reset();
  Settle();
  feed_.Put("a", "8");
  PublishAndSettle();
  EXPECT_EQ(Revisions(sink, 0), (std::vector<int64_t>{2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(Revisions(sink, 1), (std::vector<int64_t>{6, 7, 8}));
}

TEST_F(HubTest, ALoopHeldUpForLongFallsBackToHistory) {
  Start({.recent_bytes_max = 2000});
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA}).ok());
  for (int i = 0; i < 100; ++i) {
    feed_.Put("a", std::string(200, 'v'));
    feed_.Publish();
  }
  Settle();
  EXPECT_EQ(Revisions(sink, 0).size(), 100u);
  EXPECT_GT(feed_.reads(), 0);
}

TEST_F(HubTest, WatchersOfOneRangeShareTheirReads) {
  for (int i = 0; i < 100; ++i) feed_.Put("a", "v");
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 1 + i % 2}).ok());
  }
  Settle();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Revisions(sink, i).size(), 100u);
  EXPECT_LE(feed_.reads(), 2);
}

TEST_F(HubTest, AReadWithoutPreviousValuesIsNotForThoseWhoWantThem) {
  feed_.Put("a", "old");
  feed_.Put("a", "new");
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  for (int i = 0; i < 200; ++i) {  // more than are looked at to decide about a read
    EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 3}).ok());
  }
  EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 3, .filter = {.prev_kv = true}}).ok());
  Settle();
  EXPECT_EQ(feed_.reads(), 2);
  ASSERT_EQ(sink.all.size(), 201u);
  for (const auto& received : sink.all) {
    EXPECT_EQ(received.events[0].prev_kv().value(), received.watch_id == 200 ? "old" : "");
  }
}

TEST_F(HubTest, ManyRangesShareASweep) {
  for (int i = 0; i < 1000; ++i) feed_.Put("k" + std::to_string(i), "v");
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  for (int i = 0; i < 1000; ++i) {
    const auto range = KeyRange::FromRequest("k" + std::to_string(i), "");
    EXPECT_TRUE(stream->Create({.range = range, .start_revision = 1}).ok());
  }
  Settle();
  EXPECT_LE(feed_.reads(), 4);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(Revisions(sink, i), (std::vector<int64_t>{i + 2}));
}

TEST_F(HubTest, ManyStartsShareASweep) {
  for (int i = 0; i < 1000; ++i) feed_.Put("k" + std::to_string(i), "v");
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  for (int i = 999; i >= 0; --i) {  // those furthest behind last
    const auto range = KeyRange::FromRequest("k" + std::to_string(i), "");
    EXPECT_TRUE(stream->Create({.range = range, .start_revision = i + 2, .watch_id = i + 1}).ok());
  }
  Settle();
  EXPECT_LE(feed_.reads(), 4);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(Revisions(sink, i + 1), (std::vector<int64_t>{i + 2}));
}

TEST_F(HubTest, AFailedReadIsTriedAgain) {
  feed_.Put("a", "v");
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 1}).ok());
  feed_.set_failing(true);
  Settle();
  EXPECT_TRUE(sink.all.empty());
  feed_.set_failing(false);
  io_.AdvanceTime(std::chrono::seconds(2));
  Settle();
  EXPECT_EQ(Revisions(sink, 0), (std::vector<int64_t>{2}));
}

TEST_F(HubTest, ManualProgressWaitsForEveryWatcher) {
  for (int i = 0; i < 10; ++i) feed_.Put("a", "v");
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  stream->RequestProgress();  // no watchers: nothing to wait for
  ASSERT_EQ(sink.all.size(), 1u);
  EXPECT_EQ(sink.all[0].revision, 11);
  EXPECT_TRUE(stream->Create({.range = kA}).ok());
  EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 2}).ok());
  feed_.Put("b", "v");
  stream->RequestProgress();
  stream->RequestProgress();
  EXPECT_EQ(sink.all.size(), 1u);
  Settle();
  EXPECT_FALSE(sink.all.back().progress) << "revision 12 is not published yet";
  PublishAndSettle();
  ASSERT_TRUE(sink.all.back().progress);
  EXPECT_EQ(sink.all.back().watch_id, kAllWatchers);
  EXPECT_EQ(sink.all.back().revision, 12);
  EXPECT_EQ(Revisions(sink, 1).size(), 10u);
  const size_t before = sink.all.size();
  EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 100}).ok());
  stream->RequestProgress();
  Settle();
  EXPECT_EQ(sink.all.size(), before) << "no answer while a watcher waits for the future";
}

TEST_F(HubTest, IdleWatchersAreNotifiedOfProgress) {
  Start({.progress_notify_interval = std::chrono::seconds(10)});
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA, .progress_notify = true}).ok());
  EXPECT_TRUE(stream->Create({.range = kA}).ok());
  feed_.Put("b", "v");
  PublishAndSettle();
  io_.AdvanceTime(std::chrono::seconds(9));
  EXPECT_TRUE(sink.all.empty());
  io_.AdvanceTime(std::chrono::seconds(1));
  ASSERT_EQ(sink.all.size(), 1u);
  EXPECT_TRUE(sink.all[0].progress);
  EXPECT_EQ(sink.all[0].watch_id, 0);
  EXPECT_EQ(sink.all[0].revision, 2);
  feed_.Put("a", "v");
  PublishAndSettle();
  sink.all.clear();
  io_.AdvanceTime(std::chrono::seconds(10));
  EXPECT_TRUE(sink.all.empty()) << "it was sent an event in this interval";
  io_.AdvanceTime(std::chrono::seconds(10));
  EXPECT_EQ(sink.all.size(), 1u);
  stream.reset();
  io_.AdvanceTime(std::chrono::seconds(100));
  EXPECT_EQ(sink.all.size(), 1u);
}

TEST_F(HubTest, LoopsWithoutWatchersAreNotWoken) {
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA}).ok());
  feed_.Put("a", "v");
  feed_.Publish();
  feed_.Put("a", "v");
  feed_.Publish();
  EXPECT_TRUE(io_.RunOne());
  EXPECT_FALSE(io_.RunOne()) << "one wake-up for two batches";
  stream->Cancel(0);
  feed_.Put("a", "v");
  feed_.Publish();
  EXPECT_FALSE(io_.RunOne());
  EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 2}).ok());
  Settle();
  EXPECT_EQ(Revisions(sink, 1), (std::vector<int64_t>{2, 3, 4}));
}

TEST_F(HubTest, AStreamMayCloseWhileItsHistoryIsRead) {
  for (int i = 0; i < 10; ++i) feed_.Put("a", "v");
  Start();
  RecordingSink sink;
  auto stream = hub_->OpenStream(io_, sink);
  EXPECT_TRUE(stream->Create({.range = kA, .start_revision = 1}).ok());
  while (io_.RunOne()) {
  }
  EXPECT_TRUE(worker_.RunOne());
  stream.reset();
  Settle();
  EXPECT_TRUE(sink.all.empty());
  EXPECT_EQ(hub_->Stats().streams, 0);
}

}  // namespace
}  // namespace keel::watch
