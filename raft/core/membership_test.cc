#include <gtest/gtest.h>

#include "raft/core/testing/member.h"

namespace keel::raft::testing {
namespace {

using Nodes = std::vector<NodeId>;
using Texts = std::vector<std::string>;
using Type = ConfChangeSingle::Type;
using Transition = ConfChange::Transition;

ConfChange Change(std::vector<ConfChangeSingle> changes,
                  Transition transition = Transition::kAuto) {
  return {.transition = transition, .changes = std::move(changes)};
}

void MustPropose(Network& net, NodeId at, const ConfChange& change) {
  const absl::Status status = net.raft(at).ProposeConfChange(change);
  ASSERT_TRUE(status.ok()) << status;
  net.Settle();
}

TEST(MembershipTest, ANewLearnerCatchesUpAndIsPromoted) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Propose(1, "a");
  net.Join(4);
  net[1].Compact(1);
  MustPropose(net, 1, Change({{Type::kAddLearner, 4}}));
  net.Tick(2);
  EXPECT_EQ(net[4].applied, Texts{"a"});
  EXPECT_EQ(net[4].conf().learners, Nodes{4});
  MustPropose(net, 1, Change({{Type::kAddVoter, 4}}));
  for (NodeId id : {1, 2, 3, 4}) EXPECT_EQ(net[id].conf().voters, (Nodes{1, 2, 3, 4}));
  net.Isolate(3);
  net.Propose(1, "b");
  EXPECT_EQ(net[4].applied, (Texts{"a", "b"}));
}

TEST(MembershipTest, AJoiningMemberTakesASnapshotEvenFromACompleteLog) {
  Network net({1, 2});
  net.Elect(1);
  net.Propose(1, "a");
  net.Join(3);
  MustPropose(net, 1, Change({{Type::kAddVoter, 3}}));
  net.Tick(2);
  EXPECT_TRUE(net[3].applied.empty()) << "the leader has no snapshot to offer";
  EXPECT_EQ(net[3].log().LastIndex(), 0);
  net[1].Compact(0);  // takes one, drops nothing
  ASSERT_EQ(net[1].log().FirstIndex(), 1);
  net.Tick(2);
  EXPECT_EQ(net[3].applied, Texts{"a"});
  EXPECT_EQ(net[3].conf().voters, (Nodes{1, 2, 3}));
}

TEST(MembershipTest, ARefusalOfAMemberThatJoinsIsOldOnceItHasJoined) {
  Network net({1, 2});
  net.Elect(1);
  net.Propose(1, "a");
  net[1].Compact(0);  // takes a snapshot, drops nothing
  net.Join(3);
  std::vector<Message> refusals;
  net.on_message = [&](const Message& m, bool) {
    if (m.type == MessageType::kAppendResponse && m.from == 3 && m.reject && m.index == 0) {
      refusals.push_back(m);
    }
  };
  MustPropose(net, 1, Change({{Type::kAddVoter, 3}}));
  net.Tick(4);
  ASSERT_EQ(net[3].applied, Texts{"a"});
  // The network delivers one of them again, and late. The leader has no newer snapshot to offer.
  ASSERT_FALSE(refusals.empty());
  net.Post(refusals.front());
  net.Settle();
  net.Propose(1, "b");
  net.Tick(2);
  EXPECT_EQ(net[3].applied, (Texts{"a", "b"}));
}

TEST(MembershipTest, ASnapshotOlderThanTheJoinIsGoodEnough) {
  Network net({1, 2});
  net.Elect(1);
  net.Propose(1, "a");
  net[1].Compact(2);
  net.Join(3);
  MustPropose(net, 1, Change({{Type::kAddVoter, 3}}));
  net.Tick(2);
  EXPECT_EQ(net[3].applied, Texts{"a"});
  EXPECT_EQ(net[3].conf().voters, (Nodes{1, 2, 3})) << "the entry that adds it came after";
}

TEST(MembershipTest, SeveralChangesGoThroughAJointConfigurationAndLeaveItByThemselves) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Join(4);
  net.Join(5);
  net[1].Compact(1);
  bool joint = false;
  net[1].on_ready = [&](const Ready&) {
    joint |= !net.raft(1).GetStatus().conf.voters_outgoing.empty();
  };
  MustPropose(net, 1, Change({{Type::kAddVoter, 4}, {Type::kAddVoter, 5}, {Type::kRemove, 3}}));
  net.Tick(3);
  EXPECT_TRUE(joint);
  for (NodeId id : {1, 2, 4, 5}) {
    EXPECT_EQ(net[id].conf(), (ConfState{.voters = {1, 2, 4, 5}})) << id;
  }
}

TEST(MembershipTest, AnExplicitJointConfigurationNeedsBothMajoritiesUntilItIsLeft) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Join(4);
  net.Join(5);
  net[1].Compact(1);
  MustPropose(
      net, 1,
      Change({{Type::kAddVoter, 4}, {Type::kAddVoter, 5}, {Type::kRemove, 2}, {Type::kRemove, 3}},
             Transition::kJointExplicit));
  net.Tick(3);
  EXPECT_EQ(net[1].conf().voters_outgoing, (Nodes{1, 2, 3}));
  net.Isolate(2);
  net.Isolate(3);
  net.Propose(1, "a");
  EXPECT_TRUE(net[1].applied.empty()) << "a majority of 1, 4, 5 is not enough";
  net.Heal();
  net.Tick(2);
  EXPECT_EQ(net[1].applied, Texts{"a"});
  EXPECT_TRUE(
      absl::IsFailedPrecondition(net.raft(1).ProposeConfChange(Change({{Type::kRemove, 4}}))));
  MustPropose(net, 1, ConfChange{});
  EXPECT_EQ(net[1].conf(), (ConfState{.voters = {1, 4, 5}}));
  net.Isolate(2);
  net.Isolate(3);
  net.Propose(1, "b");
  EXPECT_EQ(net[4].applied, (Texts{"a", "b"}));
}

TEST(MembershipTest, ANewLeaderLeavesTheJointConfigurationThatTheOldOneEntered) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Join(4);
  net[1].Compact(1);
  // 1 enters the joint configuration but its word on leaving it is lost.
  net.drop = [](const Message& m) {
    return m.from == 1 && m.type == MessageType::kAppend && !m.entries.empty() &&
           m.entries.back().index > 2;
  };
  MustPropose(net, 1, Change({{Type::kAddVoter, 4}, {Type::kRemove, 3}}));
  net.Heal();
  net.Isolate(1);
  net.Tick(60);
  net.Heal();
  net.Tick(5);
  EXPECT_NE(net.raft(2).leader(), kNoNode);
  EXPECT_EQ(net[2].conf(), (ConfState{.voters = {1, 2, 4}}));
}

TEST(MembershipTest, OneChangeAtATime) {
  Network net({1, 2, 3});
  net.Elect(1);
  ASSERT_TRUE(net.raft(1).ProposeConfChange(Change({{Type::kRemove, 3}})).ok());
  EXPECT_TRUE(
      absl::IsFailedPrecondition(net.raft(1).ProposeConfChange(Change({{Type::kRemove, 2}}))));
  net.Settle();
  EXPECT_TRUE(net.raft(1).ProposeConfChange(Change({{Type::kRemove, 2}})).ok());
}

TEST(MembershipTest, WhatAnEarlierLeaderProposedCountsAsPending) {
  Network net({1, 2, 3});
  net.Elect(1);
  net[2].hold_apply = true;
  ASSERT_TRUE(net.raft(1).ProposeConfChange(Change({{Type::kAddLearner, 9}})).ok());
  net.drop = [](const Message& m) { return m.commit >= 2; };  // 2 has it, not its commit
  net.Settle();
  net.Heal();
  net.Isolate(1);
  net.Tick(12);
  ASSERT_TRUE(net.raft(2).role() == Role::kLeader || net.raft(3).role() == Role::kLeader);
  if (net.raft(2).role() == Role::kLeader) {
    EXPECT_TRUE(
        absl::IsFailedPrecondition(net.raft(2).ProposeConfChange(Change({{Type::kRemove, 3}}))));
  }
}

TEST(MembershipTest, AMemberWithACommittedChangeUnappliedDoesNotCampaign) {
  Network net({1, 2, 3});
  net.Elect(1);
  net[2].hold_apply = true;
  MustPropose(net, 1, Change({{Type::kAddLearner, 9}}));
  ASSERT_EQ(net.raft(2).commit(), 2);
  net.raft(2).Campaign();
  EXPECT_EQ(net.raft(2).role(), Role::kFollower);
  net[2].hold_apply = false;
  net.Settle();
  net.raft(2).Campaign();
  EXPECT_EQ(net.raft(2).role(), Role::kPreCandidate);
}

// Else those that stay could lose power, forget it, and elect nobody without the one that went.
TEST(MembershipTest, ACommittedChangeIsSyncedWhereItIsApplied) {
  Network net({1, 2, 3});
  net.Elect(1);
  int handed_out = 0;
  for (const NodeId id : {1, 2}) {
    net[id].on_ready = [&](const Ready& ready) {
      for (const Entry& entry : ready.committed) {
        if (entry.type != EntryType::kConfChange) continue;
        ++handed_out;
        EXPECT_TRUE(ready.must_sync);
        ASSERT_TRUE(ready.hard_state.has_value());
        EXPECT_GE(ready.hard_state->commit, entry.index);
      }
    };
  }
  MustPropose(net, 1, Change({{Type::kRemove, 3}}));
  EXPECT_EQ(handed_out, 2);
}

TEST(MembershipTest, ALeaderThatIsRemovedHandsOver) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  MustPropose(net, 1, Change({{Type::kRemove, 1}}));
  net.Tick(3);
  EXPECT_EQ(net[2].conf().voters, (Nodes{2, 3}));
  EXPECT_EQ(net.raft(1).role(), Role::kLeader) << "only one of two knows that it may go";
  EXPECT_TRUE(absl::IsUnavailable(net.raft(1).Propose(Data("x"))));
  net.Heal();
  net.Tick(2);
  EXPECT_EQ(net.raft(1).role(), Role::kFollower);
  EXPECT_TRUE(net.raft(2).role() == Role::kLeader || net.raft(3).role() == Role::kLeader);
  EXPECT_EQ(net[2].conf().voters, (Nodes{2, 3}));
  net.Tick(60);
  EXPECT_NE(net.raft(1).role(), Role::kLeader) << "it does not disturb those that stay";
  net.Propose(net.raft(2).leader(), "a");
  EXPECT_EQ(net[3].applied, Texts{"a"});
}

TEST(MembershipTest, AVoterLearnsFromRefusalsThatItNeedsNobodysVote) {
  // 1 and 3 go, 2 stays. They know that this is committed, 2 does not, and as
  // far as it knows it needs one of their votes; their logs are longer than its own.
  Network net({1, 2, 3});
  net.Elect(1);
  bool committed = false;
  net.drop = [&](const Message& m) {
    // 2 gets the entry that leaves the joint configuration, but no later word.
    committed |= m.type == MessageType::kAppendResponse && m.from == 2 && m.index == 3;
    return m.to == 2 && committed;
  };
  ASSERT_TRUE(net.raft(1).ProposeConfChange(Change({{Type::kRemove, 1}, {Type::kRemove, 3}})).ok());
  net.Settle();
  net[1].Restart();  // the leader dies before it could tell
  ASSERT_EQ(net[1].conf().voters, Nodes{2});
  ASSERT_EQ(net[2].conf().voters_outgoing, (Nodes{1, 2, 3}));
  // A longer log on those that go.
  for (NodeId id : {1, 3}) {
    ASSERT_TRUE(net.raft(id)
                    .Step({.type = MessageType::kAppend,
                           .from = id == 1 ? 3u : 1u,
                           .to = id,
                           .term = 1,
                           .index = 3,
                           .log_term = 1,
                           .entries = {{.term = 1, .index = 4, .data = Data("x")}}})
                    .ok());
  }
  net.Heal();
  net.Tick(60);
  EXPECT_EQ(net.raft(2).role(), Role::kLeader);
  EXPECT_EQ(net[2].conf().voters, Nodes{2});
}

TEST(MembershipTest, ASmallerQuorumCommitsWhatWaitedForTheLargerOne) {
  Network net({1, 2, 3, 4});
  net.Elect(1);
  ASSERT_TRUE(net.raft(1).ProposeConfChange(Change({{Type::kRemove, 4}})).ok());
  net.Isolate(4);
  net.Settle();
  net.Isolate(3);
  net.Propose(1, "a");
  EXPECT_EQ(net[1].applied, Texts{"a"}) << "two of three";
}

TEST(MembershipTest, AChangeThatDoesNotFitIsVoid) {
  Network net({1, 2});
  const ConfState before = net[1].conf();
  EXPECT_EQ(net.raft(1).ApplyConfChange({}), before) << "rejected, and no joint one to leave";
  EXPECT_EQ(net.raft(1).ApplyConfChange(Change({{Type::kAddVoter, kNoNode}})), before);
}

TEST(MembershipTest, OlderChangesAppliedWhileASnapshotIsInstalledLeaveNoTrace) {
  Network net({1, 2, 3});
  net.Elect(1);
  net[3].hold_apply = true;
  MustPropose(net, 1, Change({{Type::kAddLearner, 9}}));
  net.Isolate(3);
  MustPropose(net, 1, Change({{Type::kRemove, 9}}));
  net.Propose(1, "a");
  net[1].Compact(4);
  net.Heal();
  net[3].hold_disk = true;
  net.Tick(2);
  ASSERT_EQ(net.raft(3).commit(), 4) << "the snapshot is on its way";
  net[3].hold_apply = false;
  net.Settle();
  EXPECT_EQ(net[3].conf().learners, Nodes{9}) << "the older change was applied";
  net[3].hold_disk = false;
  net.Settle();
  EXPECT_EQ(net.raft(3).GetStatus().conf, (ConfState{.voters = {1, 2, 3}}));
}

TEST(MembershipTest, AFollowerForwardsAChange) {
  Network net({1, 2, 3});
  net.Elect(1);
  MustPropose(net, 2, Change({{Type::kRemove, 3}}));
  EXPECT_EQ(net[1].conf().voters, (Nodes{1, 2}));
}

TEST(MembershipTest, ARestartedMemberKnowsTheConfigurationAgain) {
  Network net({1, 2, 3});
  net.Elect(1);
  MustPropose(net, 1, Change({{Type::kRemove, 3}}));
  net[1].Restart();
  EXPECT_EQ(net.raft(1).GetStatus().conf.voters, (Nodes{1, 2}));
}

TEST(MembershipTest, ATransferToAMemberThatIsRemovedEnds) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  ASSERT_TRUE(net.raft(1).ProposeConfChange(Change({{Type::kRemove, 3}})).ok());
  ASSERT_TRUE(net.raft(1).TransferLeadership(3).ok());
  net.Settle();
  EXPECT_EQ(net.raft(1).GetStatus().transferee, kNoNode);
}

TEST(MembershipTest, AChangeThatWasOverwrittenBlocksNoOther) {
  Member node(1, {.voters = {1, 2, 3}}, {});
  const auto entry = [](Index index, Term term) {
    return Entry{.term = term, .index = index, .data = Data("x")};
  };
  Entry change = entry(5, 1);
  change.type = EntryType::kConfChange;
  change.data = Data(EncodeConfChange({.changes = {{ConfChangeSingle::Type::kAddVoter, 4}}}));
  Message append{.type = MessageType::kAppend, .from = 2, .to = 1, .term = 1};
  append.entries = {entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 1), change};
  EXPECT_TRUE(node.raft().Step(append).ok());
  node.Process();
  // Another leader, whose log is shorter, replaces all but the first.
  append = {.type = MessageType::kAppend, .from = 3, .to = 1, .term = 2, .index = 1, .log_term = 1};
  append.entries = {entry(2, 2)};
  append.commit = 2;
  EXPECT_TRUE(node.raft().Step(append).ok());
  node.Process();
  EXPECT_TRUE(
      node.raft().Step({.type = MessageType::kTimeoutNow, .from = 3, .to = 1, .term = 2}).ok());
  node.Process();
  EXPECT_TRUE(
      node.raft().Step({.type = MessageType::kVoteResponse, .from = 2, .to = 1, .term = 3}).ok());
  node.Process();
  ASSERT_EQ(node.raft().role(), Role::kLeader);
  EXPECT_TRUE(
      node.raft().ProposeConfChange({.changes = {{ConfChangeSingle::Type::kAddVoter, 4}}}).ok());
}

}  // namespace
}  // namespace keel::raft::testing
