// Linearizable reads: ReadIndex and leases (thesis, section 6.4).
#include <gtest/gtest.h>

#include "raft/core/read_queue.h"
#include "raft/core/testing/member.h"

namespace keel::raft::testing {
namespace {

size_t CountHeartbeats(Network& net, const std::function<void()>& what) {
  size_t heartbeats = 0;
  net.on_message = [&](const Message& m, bool) {
    if (m.type == MessageType::kHeartbeat) ++heartbeats;
  };
  what();
  net.on_message = nullptr;
  return heartbeats;
}

TEST(ReadIndexTest, TheLeaderConfirmsItselfOnceForAllThatQueued) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Propose(1, "a");
  const size_t heartbeats = CountHeartbeats(net, [&] {
    for (uint64_t context = 1; context <= 100; ++context) {
      ASSERT_TRUE(net.raft(1).ReadIndex(context).ok());
    }
    net.Settle();
  });
  EXPECT_EQ(heartbeats, 2) << "one round, two peers";
  ASSERT_EQ(net[1].reads.size(), 100);
  for (const ReadState& read : net[1].reads) EXPECT_EQ(read.index, 2);
}

TEST(ReadIndexTest, AFollowersReadsShareOneRequest) {
  Network net({1, 2, 3});
  net.Elect(1);
  size_t requests = 0;
  net.on_message = [&](const Message& m, bool) {
    if (m.type == MessageType::kReadIndex) ++requests;
  };
  for (uint64_t context = 1; context <= 10; ++context) {
    ASSERT_TRUE(net.raft(2).ReadIndex(context).ok());
  }
  net.Settle();
  EXPECT_EQ(requests, 1);
  EXPECT_EQ(net[2].reads.size(), 10);
}

TEST(ReadIndexTest, WaitsForAnEntryOfTheLeadersOwnTerm) {
  Network net({1, 2, 3});
  net.drop = [](const Message& m) { return m.type == MessageType::kAppend; };
  net.Elect(1);
  ASSERT_TRUE(net.raft(1).ReadIndex(7).ok());
  net.Settle();
  EXPECT_TRUE(net[1].reads.empty()) << "how far the last term committed is not known yet";
  net.Heal();
  net.Tick(2);
  ASSERT_EQ(net[1].reads.size(), 1);
  EXPECT_EQ(net[1].reads[0].index, 1);
}

TEST(ReadIndexTest, ADeposedLeaderAnswersNothing) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(1);
  ASSERT_TRUE(net.raft(1).ReadIndex(7).ok());
  net.Tick(40);
  EXPECT_TRUE(net[1].reads.empty());
  EXPECT_EQ(net[1].dropped_reads, std::vector<uint64_t>{7});
  EXPECT_TRUE(absl::IsUnavailable(net.raft(1).ReadIndex(8)));
}

TEST(ReadIndexTest, AFollowersLostRequestIsDropped) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.drop = [](const Message& m) { return m.type == MessageType::kReadIndex; };
  ASSERT_TRUE(net.raft(2).ReadIndex(7).ok());
  net.Tick(15);
  EXPECT_EQ(net.raft(2).leader(), 1) << "the leader is still there";
  EXPECT_EQ(net[2].dropped_reads, std::vector<uint64_t>{7});
}

TEST(ReadIndexTest, AMemberThatLeadsNoMoreTellsTheAsker) {
  Member member(1, {.voters = {1, 2, 3}}, {});
  ASSERT_TRUE(
      member.raft().Step({.type = MessageType::kReadIndex, .from = 2, .to = 1, .context = 5}).ok());
  member.Process();
  const std::vector<Message> sent = member.TakeMessages();
  ASSERT_EQ(sent.size(), 1);
  EXPECT_EQ(sent[0].type, MessageType::kReadIndexResponse);
  EXPECT_TRUE(sent[0].reject);
  EXPECT_EQ(sent[0].context, 5);
}

TEST(ReadIndexTest, ALostRoundIsMadeGoodByTheNextHeartbeat) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.drop = [](const Message& m) { return m.type == MessageType::kHeartbeat; };
  ASSERT_TRUE(net.raft(1).ReadIndex(7).ok());
  net.Settle();
  EXPECT_TRUE(net[1].reads.empty());
  net.Heal();
  net.Tick();
  EXPECT_EQ(net[1].reads.size(), 1);
}

TEST(ReadIndexTest, AnAnswerToAnOlderRoundConfirmsNothing) {
  Network net({1, 2, 3});
  net.Elect(1);
  // The answer to a heartbeat sent before the read is on its way.
  std::vector<Message> late;
  net.drop = [&](const Message& m) {
    if (m.type == MessageType::kHeartbeatResponse) late.push_back(m);
    return m.type == MessageType::kHeartbeatResponse;
  };
  net.Tick();
  net.drop = [](const Message& m) { return m.type == MessageType::kHeartbeat; };
  ASSERT_TRUE(net.raft(1).ReadIndex(7).ok());
  net.Settle();
  ASSERT_EQ(late.size(), 2);
  for (Message& m : late) ASSERT_TRUE(net.raft(1).Step(std::move(m)).ok());
  net.Settle();
  EXPECT_TRUE(net[1].reads.empty());
}

TEST(ReadIndexTest, ALearnersAnswerDoesNotCount) {
  Network net({1, 2}, {3});
  net.Elect(1);
  net.Isolate(2);
  ASSERT_TRUE(net.raft(1).ReadIndex(7).ok());
  net.Tick(3);
  EXPECT_TRUE(net[1].reads.empty());
}

TEST(ReadIndexTest, ASoleVoterNeedsNoRound) {
  Network net({1}, {2});
  net.Elect(1);
  EXPECT_EQ(CountHeartbeats(net,
                            [&] {
                              ASSERT_TRUE(net.raft(1).ReadIndex(7).ok());
                              net.Settle();
                            }),
            0);
  EXPECT_EQ(net[1].reads.size(), 1);
}

class LeaseTest : public ::testing::Test {
 protected:
  LeaseTest() : net({1, 2, 3}, {}, {.lease_reads = true}) {
    net.Elect(1);
    net.Tick();
  }
  // Whether a read at 1 is answered although nobody can be asked.
  bool AnsweredAlone() {
    net.drop = [](const Message&) { return true; };
    EXPECT_TRUE(net.raft(1).ReadIndex(++context).ok());
    net.Settle();
    net.Heal();
    const bool answered = !net[1].reads.empty() && net[1].reads.back().context == context;
    return answered;
  }
  Network net;
  uint64_t context = 0;
};

TEST_F(LeaseTest, AnswersWithoutARound) { EXPECT_TRUE(AnsweredAlone()); }

TEST_F(LeaseTest, EndsBeforeAnybodyCouldElectAnother) {
  net.drop = [](const Message&) { return true; };
  for (int i = 0; i < 7; ++i) net.raft(1).Tick();
  EXPECT_TRUE(AnsweredAlone());
  net.raft(1).Tick();
  EXPECT_FALSE(AnsweredAlone());
}

TEST_F(LeaseTest, IsVoidOnceATransferWasStarted) {
  net.drop = [](const Message& m) { return m.type == MessageType::kTimeoutNow; };
  ASSERT_TRUE(net.raft(1).TransferLeadership(2).ok());
  net.Tick(12);
  ASSERT_EQ(net.raft(1).role(), Role::kLeader);
  ASSERT_EQ(net.raft(1).GetStatus().transferee, kNoNode);
  EXPECT_FALSE(AnsweredAlone()) << "the order to campaign may still arrive";
}

TEST_F(LeaseTest, AMemberThatCrashedKeepsThePromiseItMadeBefore) {
  net[2].Restart();
  const Message ask{
      .type = MessageType::kPreVote, .from = 3, .to = 2, .term = 2, .index = 9, .log_term = 1};
  ASSERT_TRUE(net.raft(2).Step(ask).ok());
  net[2].Process();
  EXPECT_TRUE(net[2].TakeMessages().empty());
  for (int i = 0; i < 9; ++i) net.raft(2).Tick();
  ASSERT_TRUE(net.raft(2).Step(ask).ok());
  net[2].Process();
  EXPECT_TRUE(net[2].TakeMessages().empty());
  net.raft(2).Tick();
  ASSERT_TRUE(net.raft(2).Step(ask).ok());
  net[2].Process();
  EXPECT_EQ(net[2].TakeMessages().size(), 1);
}

TEST(ReadQueueTest, IdsOfDifferentLivesDiffer) {
  FollowerReads reads(77);
  reads.Add(1);
  EXPECT_EQ(reads.Send(1), 77);
  EXPECT_TRUE(reads.Take(76).empty());
  EXPECT_EQ(reads.Take(77), std::vector<uint64_t>{1});
  EXPECT_TRUE(reads.Take(77).empty()) << "answered once";
}

TEST(RoundClockTest, KnowsWhenARoundWasSentUntilItIsOutOfReach) {
  RoundClock clock;
  clock.Mark(1, 5, 10);
  clock.Mark(2, 5, 10);
  clock.Mark(3, 7, 10);
  EXPECT_EQ(clock.SentAt(0), 0);
  EXPECT_EQ(clock.SentAt(2), 5);
  EXPECT_EQ(clock.SentAt(3), 7);
  clock.Mark(4, 16, 10);
  EXPECT_EQ(clock.SentAt(2), 0);
  EXPECT_EQ(clock.SentAt(3), 7);
}

}  // namespace
}  // namespace keel::raft::testing
