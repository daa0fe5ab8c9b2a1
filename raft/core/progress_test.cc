#include "raft/core/progress.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <deque>

namespace keel::raft {
namespace {

using State = Progress::State;

Progress Peer(Index next) {
  Config config;
  config.max_inflight_messages = 3;
  config.max_inflight_bytes = 100;
  return Progress(2, /*is_learner=*/false, next, config);
}

TEST(InflightsTest, IsFullByMessagesOrByBytes) {
  Inflights window(2, 100);
  window.Add(1, 10);
  EXPECT_FALSE(window.Full());
  window.Add(2, 10);
  EXPECT_TRUE(window.Full());
  window.FreeTo(1);
  EXPECT_FALSE(window.Full());
  window.Add(3, 90);
  EXPECT_TRUE(window.Full());
  window.FreeTo(3);
  EXPECT_EQ(window.count(), 0);
  EXPECT_EQ(window.bytes(), 0);
  window.Add(4, 1000);  // larger than the window: passes alone
  EXPECT_TRUE(window.Full());
}

RC_GTEST_PROP(InflightsProperty, CountsWhatIsNotAcknowledged, ()) {
  const uint64_t max_messages = *rc::gen::inRange<uint64_t>(1, 40);
  Inflights window(max_messages, 1 << 20);
  std::deque<std::pair<Index, uint64_t>> model;
  Index last = 0;
  for (int i = 0; i < 200; ++i) {
    if (*rc::gen::inRange(0, 3) != 0) {
      if (window.Full()) continue;
      last += *rc::gen::inRange<Index>(0, 4);
      const uint64_t bytes = *rc::gen::inRange<uint64_t>(0, 50);
      window.Add(last, bytes);
      model.emplace_back(last, bytes);
    } else {
      const Index to = last - std::min<Index>(last, *rc::gen::inRange<Index>(0, 30));
      window.FreeTo(to);
      while (!model.empty() && model.front().first <= to) model.pop_front();
    }
    uint64_t bytes = 0;
    for (const auto& item : model) bytes += item.second;
    RC_ASSERT(window.count() == model.size());
    RC_ASSERT(window.bytes() == bytes);
    RC_ASSERT(window.Full() == (model.size() >= max_messages));
  }
}

TEST(ProgressTest, ProbesOneMessageAtATime) {
  Progress peer = Peer(6);
  peer.Sent(8, 3);
  EXPECT_TRUE(peer.probe_sent);
  EXPECT_EQ(peer.next, 6);  // a probe does not run ahead
  EXPECT_TRUE(peer.Advance(8));
  peer.BecomeReplicate();
  EXPECT_EQ(peer.match, 8);
  EXPECT_EQ(peer.next, 9);
  EXPECT_FALSE(peer.probe_sent);
}

TEST(ProgressTest, ReplicatingRunsAheadOfTheAcknowledgements) {
  Progress peer = Peer(1);
  peer.BecomeReplicate();
  peer.Sent(2, 10);
  peer.Sent(5, 10);
  EXPECT_EQ(peer.next, 6);
  EXPECT_EQ(peer.window.count(), 2);
  EXPECT_TRUE(peer.Advance(2));
  EXPECT_EQ(peer.next, 6);
  EXPECT_FALSE(peer.Advance(1));
  EXPECT_EQ(peer.match, 2);
}

TEST(ProgressTest, ARefusalFallsBackToTheHint) {
  Progress peer = Peer(10);
  EXPECT_TRUE(peer.Retreat(9, 4));
  EXPECT_EQ(peer.next, 5);
  EXPECT_FALSE(peer.Retreat(9, 3)) << "only the newest probe counts";
  EXPECT_TRUE(peer.Retreat(4, 20)) << "a hint beyond the probe still goes back";
  EXPECT_EQ(peer.next, 4);
}

TEST(ProgressTest, ARefusalWhileReplicatingFallsBackToMatch) {
  Progress peer = Peer(1);
  peer.Advance(5);
  peer.BecomeReplicate();
  peer.Sent(9, 1);
  EXPECT_FALSE(peer.Retreat(5, 2)) << "known to be there: the answer is stale";
  EXPECT_TRUE(peer.Retreat(8, 2));
  EXPECT_EQ(peer.state, State::kProbe);
  EXPECT_EQ(peer.next, 6);
}

TEST(ProgressTest, AfterASnapshotProbingStartsBehindIt) {
  Progress peer = Peer(3);
  peer.Advance(2);
  peer.BecomeSnapshot(20);
  EXPECT_EQ(peer.state, State::kSnapshot);
  peer.BecomeProbe();
  EXPECT_EQ(peer.next, 21);
  peer.BecomeSnapshot(30);
  peer.pending_snapshot = 0;  // it failed
  peer.BecomeProbe();
  EXPECT_EQ(peer.next, 3);
}

RC_GTEST_PROP(ProgressProperty, MatchStaysBelowNextAndNeverGoesBack, ()) {
  Progress peer = Peer(*rc::gen::inRange<Index>(1, 20));
  for (int i = 0; i < 100; ++i) {
    const Index match = peer.match;
    const Index index = *rc::gen::inRange<Index>(0, 30);
    switch (*rc::gen::inRange(0, 6)) {
      case 0:
        peer.Advance(index);
        break;
      case 1:
        peer.Retreat(index, *rc::gen::inRange<Index>(0, 30));
        break;
      case 2:
        peer.BecomeProbe();
        break;
      case 3:
        peer.BecomeReplicate();
        break;
      case 4:
        peer.BecomeSnapshot(index);
        break;
      default:
        if (peer.state == State::kReplicate && !peer.window.Full()) {
          peer.Sent(peer.next + index, index);
        }
    }
    RC_ASSERT(peer.match < peer.next);
    RC_ASSERT(peer.match >= match);
  }
}

}  // namespace
}  // namespace keel::raft
