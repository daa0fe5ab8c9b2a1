// PreVote, CheckQuorum, stickiness and transfer of leadership.
#include <gtest/gtest.h>

#include "raft/core/testing/member.h"

namespace keel::raft::testing {
namespace {

TEST(ElectionTest, PreVoteKeepsACutOffMemberFromRaisingTerms) {
  Network net({1, 2, 3});
  net.Elect(1);
  const Term term = net.raft(1).term();
  net.Isolate(3);
  net.Tick(100);
  EXPECT_EQ(net.raft(3).term(), term);
  net.Heal();
  net.Tick(3);
  EXPECT_EQ(net.raft(1).role(), Role::kLeader);
  EXPECT_EQ(net.raft(1).term(), term);
  EXPECT_EQ(net.raft(3).leader(), 1);
}

TEST(ElectionTest, MembersThatHearALeaderRefuseToElectAnother) {
  Network net({1, 2, 3}, {}, {.pre_vote = false});
  net.Elect(1);
  net.raft(3).Campaign();
  // Its requests go unheard, but its answer to the next heartbeat carries the
  // higher term: without PreVote the leader has to follow.
  net[3].Process();
  for (Message& m : net[3].TakeMessages()) {
    ASSERT_EQ(m.type, MessageType::kVote);
    const NodeId to = m.to;
    ASSERT_TRUE(net.raft(to).Step(std::move(m)).ok());
    EXPECT_EQ(net.raft(to).term(), 1);
  }
}

TEST(ElectionTest, ALeaderThatHearsFromNoQuorumStepsDown) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(1);
  net.Tick(20);
  EXPECT_NE(net.raft(1).role(), Role::kLeader);
}

TEST(ElectionTest, WithoutCheckQuorumACutOffLeaderStays) {
  Network net({1, 2, 3}, {}, {.check_quorum = false});
  net.Elect(1);
  net.Isolate(1);
  net.Tick(30);
  EXPECT_EQ(net.raft(1).role(), Role::kLeader);
}

TEST(ElectionTest, AMemberStuckOnAHigherTermComesBack) {
  Network net({1, 2, 3}, {}, {.pre_vote = false});
  net.Elect(1);
  net.Isolate(3);
  net.Tick(60);
  EXPECT_GT(net.raft(3).term(), net.raft(1).term());
  net.Heal();
  net.Tick(60);
  const Term term = net.raft(1).term();
  for (NodeId id : {1, 2, 3}) {
    EXPECT_EQ(net.raft(id).term(), term);
    EXPECT_NE(net.raft(id).leader(), kNoNode);
  }
}

TEST(ElectionTest, AGrantedPreVoteBindsNobody) {
  Member voter(2, {.voters = {1, 2, 3}}, {});
  for (NodeId candidate : {1, 3}) {
    ASSERT_TRUE(voter.raft()
                    .Step({.type = MessageType::kPreVote, .from = candidate, .to = 2, .term = 1})
                    .ok());
    voter.Process();
    const std::vector<Message> sent = voter.TakeMessages();
    ASSERT_EQ(sent.size(), 1);
    EXPECT_FALSE(sent[0].reject);
    EXPECT_EQ(sent[0].term, 1);
  }
  EXPECT_EQ(voter.raft().term(), 0);
}

TEST(ElectionTest, ALearnerNeverCampaigns) {
  Network net({1, 2}, {3});
  net.Isolate(1);
  net.Isolate(2);
  net.Tick(100);
  EXPECT_EQ(net.raft(3).term(), 0);
  net.raft(3).Campaign();
  EXPECT_EQ(net.raft(3).role(), Role::kFollower);
}

TEST(ElectionTest, ALearnersVoteIsNotAskedFor) {
  Network net({1, 2}, {3});
  net.Isolate(2);
  net.Tick(60);
  EXPECT_NE(net.raft(1).role(), Role::kLeader);
}

TEST(TransferTest, HandsOverToAnUpToDateMember) {
  Network net({1, 2, 3});
  net.Elect(1);
  ASSERT_TRUE(net.raft(1).TransferLeadership(3).ok());
  net.Settle();
  EXPECT_EQ(net.raft(3).role(), Role::kLeader);
  EXPECT_EQ(net.raft(1).role(), Role::kFollower);
}

TEST(TransferTest, AFollowerForwardsTheWish) {
  Network net({1, 2, 3});
  net.Elect(1);
  ASSERT_TRUE(net.raft(2).TransferLeadership(3).ok());
  net.Settle();
  EXPECT_EQ(net.raft(3).role(), Role::kLeader);
}

TEST(TransferTest, ALaggingMemberIsBroughtUpToDateFirst) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  net.Propose(1, "a");
  net[1].Compact(2);
  net.Heal();
  ASSERT_TRUE(net.raft(1).TransferLeadership(3).ok());
  net.Tick(2);
  EXPECT_EQ(net.raft(3).role(), Role::kLeader);
  EXPECT_EQ(net[3].applied, std::vector<std::string>{"a"});
}

TEST(TransferTest, GivesUpAfterAnElectionTimeoutAndRefusesProposalsUntilThen) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  ASSERT_TRUE(net.raft(1).TransferLeadership(3).ok());
  net.Settle();
  EXPECT_EQ(net.raft(1).GetStatus().transferee, 3);
  EXPECT_TRUE(absl::IsUnavailable(net.raft(1).Propose(Data("a"))));
  net.Tick(10);
  EXPECT_EQ(net.raft(1).GetStatus().transferee, kNoNode);
  net.Propose(1, "a");
}

TEST(TransferTest, WithoutANamePicksTheMostUpToDateVoter) {
  Network net({1, 2, 3}, {4});
  net.Elect(1);
  net.Isolate(2);
  net.Propose(1, "a");
  ASSERT_TRUE(net.raft(1).TransferLeadership(kNoNode).ok());
  EXPECT_EQ(net.raft(1).GetStatus().transferee, 3);
}

TEST(TransferTest, RefusesWhoCannotLead) {
  Network net({1, 2}, {3});
  EXPECT_TRUE(absl::IsUnavailable(net.raft(1).TransferLeadership(2))) << "no leader";
  net.Elect(1);
  EXPECT_TRUE(absl::IsFailedPrecondition(net.raft(1).TransferLeadership(3)));
  EXPECT_TRUE(absl::IsFailedPrecondition(net.raft(1).TransferLeadership(9)));
  EXPECT_TRUE(net.raft(1).TransferLeadership(1).ok());
  EXPECT_EQ(net.raft(1).GetStatus().transferee, kNoNode);
}

}  // namespace
}  // namespace keel::raft::testing
