// The leader's flow of messages: batching, pipelining, windows, lost messages,
// snapshots, limits.
#include <gtest/gtest.h>

#include "raft/core/testing/member.h"

namespace keel::raft::testing {
namespace {

using Texts = std::vector<std::string>;
using State = PeerProgress::State;

PeerProgress Peer(Network& net, NodeId leader, NodeId peer) {
  for (const PeerProgress& p : net.raft(leader).GetStatus().progress) {
    if (p.id == peer) return p;
  }
  ADD_FAILURE() << "no peer " << peer;
  return {};
}

std::vector<Message> AppendsTo(Member& member, NodeId to) {
  member.Process();
  std::vector<Message> appends;
  for (Message& m : member.TakeMessages()) {
    if (m.type == MessageType::kAppend && m.to == to) appends.push_back(std::move(m));
  }
  return appends;
}

TEST(ReplicationTest, ProposalsBetweenTwoReadysShareOneMessage) {
  Network net({1, 2, 3});
  net.Elect(1);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(net.raft(1).Propose(Data("x")).ok());
  const std::vector<Message> appends = AppendsTo(net[1], 2);
  ASSERT_EQ(appends.size(), 1);
  EXPECT_EQ(appends[0].entries.size(), 50);
}

TEST(ReplicationTest, SeveralProposalsAreTakenTogether) {
  Network net({1, 2, 3});
  net.Elect(1);
  ASSERT_TRUE(net.raft(1).Propose(std::vector<Payload>{Data("a"), Data("b")}).ok());
  net.Settle();
  EXPECT_EQ(net[3].applied, (Texts{"a", "b"}));
  EXPECT_TRUE(
      absl::IsInvalidArgument(net.raft(1).Propose(std::vector<Payload>{Data("c"), nullptr})));
  net.Settle();
  EXPECT_EQ(net[3].applied, (Texts{"a", "b"})) << "all or none";
}

TEST(ReplicationTest, MessagesAreSplitAtTheirSizeAndPipelined) {
  Network net({1, 2, 3}, {}, {.max_message_bytes = 10});
  net.Elect(1);
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(net.raft(1).Propose(Data("12345")).ok());
  ASSERT_TRUE(net.raft(1).Propose(Data("larger than a message")).ok());
  const std::vector<Message> appends = AppendsTo(net[1], 2);
  std::vector<size_t> sizes;
  for (const Message& m : appends) sizes.push_back(m.entries.size());
  EXPECT_EQ(sizes, (std::vector<size_t>{2, 2, 2, 1, 1}));
}

TEST(ReplicationTest, TheWindowHoldsBackAndOpensWithAcknowledgements) {
  Network net({1, 2, 3}, {}, {.max_message_bytes = 1, .max_inflight_messages = 3});
  net.Elect(1);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(net.raft(1).Propose(Data("x")).ok());
  EXPECT_EQ(AppendsTo(net[1], 2).size(), 3);
  ASSERT_TRUE(
      net.raft(1)
          .Step({.type = MessageType::kAppendResponse, .from = 2, .to = 1, .term = 1, .index = 3})
          .ok());
  size_t entries = 0;
  for (const Message& m : AppendsTo(net[1], 2)) entries += m.entries.size();
  EXPECT_EQ(entries, 2);
}

TEST(ReplicationTest, TheWindowCountsBytesToo) {
  Network net({1, 2, 3}, {}, {.max_message_bytes = 10, .max_inflight_bytes = 20});
  net.Elect(1);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(net.raft(1).Propose(Data("1234567890")).ok());
  EXPECT_EQ(AppendsTo(net[1], 2).size(), 2);
}

TEST(ReplicationTest, ALostMessageIsFoundByTheNextHeartbeat) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.drop = [](const Message& m) { return m.to == 3 && m.type == MessageType::kAppend; };
  net.Propose(1, "a");
  net.Heal();
  net.Tick();
  EXPECT_EQ(net[3].applied, Texts{"a"});
}

TEST(ReplicationTest, ALostAcknowledgementIsMadeUpFor) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(2);
  net.drop = [](const Message& m) { return m.type == MessageType::kAppendResponse; };
  net.Propose(1, "a");
  EXPECT_EQ(net.raft(1).commit(), 1);
  net.drop = nullptr;
  net.Tick();
  EXPECT_EQ(net.raft(1).commit(), 2);
}

TEST(ReplicationTest, AnUnreachablePeerIsProbedOneMessageAtATime) {
  Network net({1, 2, 3});
  net.Elect(1);
  EXPECT_EQ(Peer(net, 1, 3).state, State::kReplicate);
  net.raft(1).ReportUnreachable(3);
  EXPECT_EQ(Peer(net, 1, 3).state, State::kProbe);
  AppendsTo(net[1], 3);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(net.raft(1).Propose(Data("x")).ok());
    EXPECT_TRUE(AppendsTo(net[1], 3).empty());
  }
  net.Tick();
  EXPECT_EQ(Peer(net, 1, 3).state, State::kReplicate);
}

TEST(ReplicationTest, NewsOfACommitAreNotAnswered) {
  Network net({1, 2, 3});
  net.Elect(1);
  size_t appends = 0;
  size_t answers = 0;
  net.on_message = [&](const Message& m, bool) {
    if (m.type == MessageType::kAppend) ++appends;
    if (m.type == MessageType::kAppendResponse) ++answers;
  };
  net.Propose(1, "a");
  EXPECT_EQ(appends, 4) << "the entry and the news, to two peers";
  EXPECT_EQ(answers, 2);
}

TEST(ReplicationTest, AFarBehindMemberGetsASnapshotThenEntries) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  for (const char* text : {"a", "b", "c", "d"}) net.Propose(1, text);
  net[1].Compact(4);
  net.Propose(1, "e");
  net.Heal();
  size_t snapshots = 0;
  net.on_message = [&](const Message& m, bool) {
    if (m.type == MessageType::kSnapshot) ++snapshots;
  };
  net.Tick(2);
  EXPECT_EQ(snapshots, 1);
  EXPECT_EQ(net[3].applied, (Texts{"a", "b", "c", "d", "e"}));
  EXPECT_EQ(net[3].log().FirstIndex(), 6);
  EXPECT_EQ(Peer(net, 1, 3).state, State::kReplicate);
}

TEST(ReplicationTest, AFailedSnapshotIsSentAgain) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  net.Propose(1, "a");
  net[1].Compact(2);
  net.Heal();
  net.drop = [](const Message& m) { return m.type == MessageType::kSnapshot; };
  net.Tick(3);
  EXPECT_TRUE(net[3].applied.empty());
  net.Heal();
  net.Tick(2);
  EXPECT_EQ(net[3].applied, Texts{"a"});
}

TEST(ReplicationTest, ASnapshotOfWhatIsAlreadyHereOnlyMovesTheCommit) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.drop = [](const Message& m) {
    // 3 gets entries but never learns that they are committed.
    return m.to == 3 && (m.commit > 1 || m.type == MessageType::kHeartbeat);
  };
  net.Propose(1, "a");
  ASSERT_EQ(net.raft(3).commit(), 1);
  const Message snapshot{.type = MessageType::kSnapshot,
                         .from = 1,
                         .to = 3,
                         .term = 1,
                         .snapshot = {.index = 2, .term = 1, .conf = {.voters = {1, 2, 3}}}};
  net[3].on_ready = [](const Ready& ready) { EXPECT_FALSE(ready.snapshot.has_value()); };
  ASSERT_TRUE(net.raft(3).Step(snapshot).ok());
  net[3].Process();
  EXPECT_EQ(net.raft(3).commit(), 2);
  EXPECT_EQ(net[3].log().LastIndex(), 2);
}

TEST(ReplicationTest, ProposalsBeyondTheLimitAreRefusedUntilSomeCommit) {
  Network net({1, 2, 3}, {}, {.max_uncommitted_bytes = 10});
  net.Elect(1);
  net.Isolate(2);
  net.Isolate(3);
  ASSERT_TRUE(net.raft(1).Propose(Data("a single one of any size")).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(net.raft(1).Propose(Data("x"))));
  EXPECT_TRUE(net.raft(1).Propose(Data("")).ok() == false);
  net.Heal();
  net.Tick(2);
  EXPECT_TRUE(net.raft(1).Propose(Data("x")).ok());
}

TEST(ReplicationTest, AFollowerForwardsProposals) {
  Network net({1, 2, 3});
  EXPECT_TRUE(absl::IsUnavailable(net.raft(2).Propose(Data("a"))));
  net.Elect(1);
  size_t forwards = 0;
  net.on_message = [&](const Message& m, bool) {
    if (m.type == MessageType::kPropose) ++forwards;
  };
  for (const char* text : {"a", "b", "c"}) ASSERT_TRUE(net.raft(2).Propose(Data(text)).ok());
  net.Settle();
  EXPECT_EQ(forwards, 1);
  EXPECT_EQ(net[2].applied, (Texts{"a", "b", "c"}));
}

TEST(ReplicationTest, CommittedEntriesAreHandedOutInBoundedPieces) {
  Network net({1, 2, 3}, {}, {.max_committed_bytes = 10});
  net.Elect(1);
  size_t largest = 0;
  net[2].on_ready = [&](const Ready& ready) {
    largest = std::max(largest, ready.committed.size());
  };
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(net.raft(1).Propose(Data("12345")).ok());
  net.Settle();
  EXPECT_EQ(net[2].applied.size(), 9);
  EXPECT_EQ(largest, 2);
}

TEST(ReplicationTest, ARestartedClusterReplaysWhatItHadCommitted) {
  Network net({1, 2, 3});
  net.Elect(1);
  for (const char* text : {"a", "b"}) net.Propose(1, text);
  for (NodeId id : {1, 2, 3}) net[id].Restart();
  net.Tick(40);
  net.Propose(net.raft(1).leader(), "c");
  for (NodeId id : {1, 2, 3}) EXPECT_EQ(net[id].applied, (Texts{"a", "b", "c"}));
}

}  // namespace
}  // namespace keel::raft::testing
