#include "tests/sim/check/raft_check.h"

#include <gtest/gtest.h>

#include <memory>

namespace keel::sim {
namespace {

using raft::ConfState;
using raft::Entry;
using raft::HardState;
using raft::Index;
using raft::Message;
using raft::MessageType;
using raft::NodeId;
using raft::Role;
using raft::Status;
using raft::Term;

Entry E(Index index, Term term, const std::string& data = "") {
  return {term, index, raft::EntryType::kNormal,
          std::make_shared<const std::string>(data.empty() ? std::to_string(index) : data)};
}

Status S(NodeId id, Term term, Role role, Index commit, Index applied = 0) {
  Status status;
  status.id = id;
  status.hard_state = {term, raft::kNoNode, commit};
  status.soft_state = {raft::kNoNode, role};
  status.applied = applied;
  return status;
}

Message M(MessageType type, NodeId from, NodeId to, Term term, Index index = 0) {
  Message m;
  m.type = type;
  m.from = from;
  m.to = to;
  m.term = term;
  m.index = index;
  return m;
}

ConfState Voters(std::vector<NodeId> voters, std::vector<NodeId> outgoing = {}) {
  ConfState conf;
  conf.voters = std::move(voters);
  conf.voters_outgoing = std::move(outgoing);
  return conf;
}

class RaftCheckTest : public ::testing::Test {
 protected:
  void Append(NodeId id, std::vector<Entry> entries) { checker_.OnAppend(id, entries); }
  void Restart(NodeId id, HardState hard, std::vector<Entry> entries) {
    checker_.OnCrash(id);
    checker_.OnRestart(id, hard, {}, entries, 0);
  }
  // Member 1 leads term 1 and has committed entries 1 and 2, which 2 holds too.
  void TwoCommitted() {
    for (NodeId id : {1, 2}) Append(id, {E(1, 1), E(2, 1)});
    checker_.OnStatus(S(1, 1, Role::kLeader, 2));
    checker_.OnStatus(S(2, 1, Role::kFollower, 2));
    ASSERT_EQ(Rule(), "");
  }
  std::string Rule() const { return checker_.verdict().rule; }

  RaftChecker checker_{Voters({1, 2, 3})};
};

TEST_F(RaftCheckTest, AnOrdinaryLifePasses) {
  TwoCommitted();
  for (NodeId id : {1, 2}) {
    checker_.OnApplied(id, E(1, 1), 11);
    checker_.OnApplied(id, E(2, 1), 12);
  }
  checker_.OnSent(M(MessageType::kVote, 2, 3, 2));
  checker_.OnSent(M(MessageType::kVoteResponse, 3, 2, 2));
  checker_.OnStatus(S(2, 2, Role::kLeader, 2));
  Append(2, {E(3, 2)});
  Append(3, {E(1, 1), E(2, 1), E(3, 2)});
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 2, 2, 3));
  checker_.OnStatus(S(2, 2, Role::kLeader, 3));
  checker_.OnCompact(2, 0);
  Restart(3, {2, 2, 0}, {E(1, 1), E(2, 1), E(3, 2)});
  checker_.OnSnapshot(1, {3, 2, Voters({1, 2, 3})});
  checker_.OnStatus(S(1, 2, Role::kFollower, 3, 3));
  EXPECT_EQ(checker_.verdict().text, "");
  EXPECT_EQ(checker_.committed(), 3);
}

TEST_F(RaftCheckTest, ElectionSafety) {
  checker_.OnStatus(S(1, 4, Role::kLeader, 0));
  checker_.OnStatus(S(2, 4, Role::kLeader, 0));
  EXPECT_EQ(Rule(), "election safety");
}

TEST_F(RaftCheckTest, ElectionSafetyIsSeenInMessagesToo) {
  checker_.OnSent(M(MessageType::kAppend, 1, 2, 4));
  checker_.OnSent(M(MessageType::kHeartbeat, 3, 2, 4));
  EXPECT_EQ(Rule(), "election safety");
}

TEST_F(RaftCheckTest, ALeaderOnlyAppends) {
  Append(1, {E(1, 1)});
  checker_.OnStatus(S(1, 2, Role::kLeader, 0));
  Append(1, {E(2, 2)});
  Append(1, {E(2, 2, "other")});
  EXPECT_EQ(Rule(), "leader append-only");
}

TEST_F(RaftCheckTest, LogMatchingOfTheEntryAndOfWhatIsBeforeIt) {
  Append(1, {E(1, 1), E(2, 2)});
  Append(2, {E(1, 1), E(2, 2, "other")});
  EXPECT_EQ(Rule(), "log matching");

  RaftChecker before;
  before.OnAppend(1, std::vector<Entry>{E(1, 1), E(2, 3)});
  before.OnAppend(2, std::vector<Entry>{E(1, 2), E(2, 3)});
  EXPECT_EQ(before.verdict().rule, "log matching");
}

TEST_F(RaftCheckTest, LogsHaveNoGapsAndTermsNeverFall) {
  Append(1, {E(1, 1), E(3, 1)});
  EXPECT_EQ(Rule(), "log without gaps");
  RaftChecker falling;
  falling.OnAppend(1, std::vector<Entry>{E(1, 2), E(2, 1)});
  EXPECT_EQ(falling.verdict().rule, "terms in a log never fall");
}

TEST_F(RaftCheckTest, LeaderCompletenessWhenALeaderIsElected) {
  TwoCommitted();
  Append(3, {E(1, 1)});
  checker_.OnStatus(S(3, 2, Role::kLeader, 0));
  EXPECT_EQ(Rule(), "leader completeness");
}

TEST_F(RaftCheckTest, LeaderCompletenessWhenSomethingIsCommittedBesideALaterLeader) {
  Append(3, {E(1, 2)});
  checker_.OnStatus(S(3, 2, Role::kLeader, 0));
  Append(1, {E(1, 1)});
  checker_.OnStatus(S(1, 1, Role::kLeader, 1));
  EXPECT_EQ(Rule(), "leader completeness");
}

TEST_F(RaftCheckTest, ALateLeaderOfAnEarlierTermNeedsNothingOfLaterTerms) {
  Append(1, {E(1, 3)});
  checker_.OnStatus(S(1, 3, Role::kLeader, 1));
  checker_.OnStatus(S(2, 2, Role::kLeader, 0));  // its votes were under way for long
  EXPECT_EQ(checker_.verdict().text, "");
}

// Figure 8 of the paper, with the mistake it warns of: entry 2 of term 2 is
// committed by counting in term 4, and overwritten in term 5.
TEST_F(RaftCheckTest, Figure8) {
  for (NodeId id : {1, 2}) Append(id, {E(1, 1), E(2, 2)});
  Append(3, {E(1, 1)});
  Append(5, {E(1, 1), E(2, 3)});
  checker_.OnStatus(S(1, 4, Role::kLeader, 0));
  Append(3, {E(2, 2)});
  checker_.OnStatus(S(1, 4, Role::kLeader, 2));
  ASSERT_EQ(Rule(), "");
  checker_.OnStatus(S(5, 5, Role::kLeader, 0));
  EXPECT_EQ(Rule(), "leader completeness");
}

TEST_F(RaftCheckTest, CommittedEntriesStay) {
  TwoCommitted();
  Append(2, {E(2, 2)});
  EXPECT_EQ(Rule(), "committed entries stay");
  RaftChecker other;
  other.OnAppend(1, std::vector<Entry>{E(1, 1)});
  other.OnAppend(2, std::vector<Entry>{E(1, 2)});
  other.OnStatus(S(1, 1, Role::kFollower, 1));
  other.OnStatus(S(2, 2, Role::kFollower, 1));
  EXPECT_EQ(other.verdict().rule, "committed entries stay");
}

TEST_F(RaftCheckTest, CommitAndTermOnlyRiseAndCommitStaysInTheLog) {
  TwoCommitted();
  checker_.OnStatus(S(2, 1, Role::kFollower, 1));
  EXPECT_EQ(Rule(), "commit never falls");
  RaftChecker term;
  term.OnStatus(S(1, 3, Role::kFollower, 0));
  term.OnStatus(S(1, 2, Role::kFollower, 0));
  EXPECT_EQ(term.verdict().rule, "terms never fall");
  RaftChecker beyond;
  beyond.OnStatus(S(1, 3, Role::kFollower, 1));
  EXPECT_EQ(beyond.verdict().rule, "commit within the log");
}

TEST_F(RaftCheckTest, OneVoteATerm) {
  checker_.OnSent(M(MessageType::kVoteResponse, 3, 1, 2));
  checker_.OnSent(M(MessageType::kVoteResponse, 3, 1, 2));  // the same again
  EXPECT_EQ(Rule(), "");
  Message refused = M(MessageType::kVoteResponse, 3, 2, 2);
  refused.reject = true;
  checker_.OnSent(refused);
  EXPECT_EQ(Rule(), "");
  checker_.OnSent(M(MessageType::kVoteResponse, 3, 2, 2));
  EXPECT_EQ(Rule(), "one vote a term");
}

TEST_F(RaftCheckTest, ACandidateHasVotedForItself) {
  checker_.OnSent(M(MessageType::kVote, 3, 1, 2));
  checker_.OnSent(M(MessageType::kVoteResponse, 3, 1, 2));
  EXPECT_EQ(Rule(), "one vote a term");
}

TEST_F(RaftCheckTest, AVoteSurvivesARestart) {
  checker_.OnSent(M(MessageType::kVoteResponse, 3, 1, 2));
  Restart(3, {2, 1, 0}, {});
  EXPECT_EQ(checker_.verdict().text, "");
  Restart(3, {2, raft::kNoNode, 0}, {});
  EXPECT_EQ(Rule(), "one vote a term");
}

TEST_F(RaftCheckTest, ATermSurvivesARestart) {
  checker_.OnSent(M(MessageType::kVoteResponse, 3, 1, 2));
  Restart(3, {1, raft::kNoNode, 0}, {});
  EXPECT_EQ(Rule(), "durable before acknowledged");
}

TEST_F(RaftCheckTest, WhatIsAcknowledgedSurvivesARestart) {
  Append(3, {E(1, 1), E(2, 1)});
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 1, 1, 1));
  Restart(3, {1, 0, 0}, {E(1, 1)});  // the second was not acknowledged
  EXPECT_EQ(checker_.verdict().text, "");
  Append(3, {E(2, 1)});
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 1, 1, 2));
  Restart(3, {1, 0, 0}, {E(1, 1)});
  EXPECT_EQ(Rule(), "durable before acknowledged");
}

TEST_F(RaftCheckTest, AnotherEntryInThePlaceOfAnAcknowledgedOne) {
  Append(3, {E(1, 1), E(2, 1)});
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 1, 1, 2));
  Restart(3, {2, 0, 0}, {E(1, 1), E(2, 2)});
  EXPECT_EQ(Rule(), "durable before acknowledged");
}

TEST_F(RaftCheckTest, WhatALaterLeaderReplacedNeedNotSurvive) {
  Append(3, {E(1, 1), E(2, 1)});
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 1, 1, 2));
  Append(3, {E(2, 2)});
  Restart(3, {2, 0, 0}, {E(1, 1)});
  EXPECT_EQ(checker_.verdict().text, "");
}

TEST_F(RaftCheckTest, NobodyAcknowledgesWhatItsLogDoesNotHold) {
  Append(3, {E(1, 1)});
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 1, 1, 2));
  EXPECT_EQ(Rule(), "durable before acknowledged");
}

TEST_F(RaftCheckTest, NobodyAcknowledgesAnEntryThatItsLeaderHasOtherwise) {
  Append(1, {E(1, 1), E(2, 3)});
  checker_.OnStatus(S(1, 3, Role::kLeader, 0));
  Append(3, {E(1, 1), E(2, 2)});
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 1, 3, 1));
  EXPECT_EQ(checker_.verdict().text, "");
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 1, 3, 2));
  EXPECT_EQ(Rule(), "acknowledges what the leader has");
}

TEST_F(RaftCheckTest, AWipedMemberHasPromisedNothing) {
  Append(3, {E(1, 1)});
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 1, 1, 1));
  checker_.OnSent(M(MessageType::kVoteResponse, 3, 1, 1));
  checker_.OnWiped(3);
  Restart(3, {}, {});
  EXPECT_EQ(checker_.verdict().text, "");
}

TEST_F(RaftCheckTest, StateMachineSafetyOfEntriesAndOfStates) {
  TwoCommitted();
  checker_.OnApplied(1, E(1, 1), 11);
  checker_.OnApplied(2, E(1, 1), 12);
  EXPECT_EQ(Rule(), "state-machine safety");
  RaftChecker entries;
  entries.OnAppend(1, std::vector<Entry>{E(1, 1)});
  entries.OnStatus(S(1, 1, Role::kFollower, 1));
  entries.OnApplied(1, E(1, 1));
  entries.OnApplied(2, E(1, 1, "other"));
  EXPECT_EQ(entries.verdict().rule, "state-machine safety");
}

TEST_F(RaftCheckTest, ApplyIsInOrderAndOnlyOfWhatIsCommitted) {
  TwoCommitted();
  checker_.OnApplied(1, E(2, 1));
  EXPECT_EQ(Rule(), "applied in order");
  RaftChecker early;
  early.OnAppend(1, std::vector<Entry>{E(1, 1)});
  early.OnApplied(1, E(1, 1));
  EXPECT_EQ(early.verdict().rule, "only what is committed is applied");
  RaftChecker claimed;
  claimed.OnStatus(S(1, 1, Role::kFollower, 0, 1));
  EXPECT_EQ(claimed.verdict().rule, "only what is committed is applied");
}

TEST_F(RaftCheckTest, SnapshotsHoldWhatIsCommittedAndNeverGoBack) {
  TwoCommitted();
  checker_.OnSnapshot(3, {2, 9, {}});
  EXPECT_EQ(Rule(), "state-machine safety");
  RaftChecker unknown;
  unknown.OnAppend(1, std::vector<Entry>{E(1, 1), E(2, 1)});
  unknown.OnStatus(S(1, 1, Role::kLeader, 1));
  unknown.OnSnapshot(3, {2, 1, {}});
  EXPECT_EQ(unknown.verdict().rule, "snapshots hold committed entries");
  RaftChecker back;
  back.OnAppend(1, std::vector<Entry>{E(1, 1), E(2, 1)});
  back.OnStatus(S(1, 1, Role::kLeader, 2));
  back.OnApplied(1, E(1, 1));
  back.OnApplied(1, E(2, 1));
  back.OnSnapshot(1, {1, 1, {}});
  EXPECT_EQ(back.verdict().rule, "state never goes back");
}

TEST_F(RaftCheckTest, ASnapshotThatTheLogHadReachedDropsNothingAcknowledged) {
  TwoCommitted();
  Append(3, {E(1, 1), E(2, 1), E(3, 1)});
  checker_.OnSent(M(MessageType::kAppendResponse, 3, 1, 1, 3));
  checker_.OnSnapshot(3, {2, 1, {}});
  EXPECT_EQ(Rule(), "durable before acknowledged");
}

TEST_F(RaftCheckTest, OnlyWhatIsAppliedIsCompactedAndTheStateReachesTheLog) {
  TwoCommitted();
  checker_.OnApplied(1, E(1, 1));
  checker_.OnCompact(1, 1);
  EXPECT_EQ(Rule(), "");
  checker_.OnCompact(1, 2);
  EXPECT_EQ(Rule(), "only what is applied is compacted");
  RaftChecker gap;
  gap.OnRestart(1, {1, 0, 5}, {5, 1, {}}, {}, 3);
  EXPECT_EQ(gap.verdict().rule, "nothing is lost between log and state");
}

TEST_F(RaftCheckTest, ConfigurationsAreTheSameEverywhere) {
  checker_.OnConf(1, 5, Voters({1, 2, 3, 4}));
  checker_.OnConf(2, 5, Voters({1, 2, 3, 4}));
  EXPECT_EQ(Rule(), "");
  checker_.OnConf(3, 5, Voters({1, 2, 3, 5}));
  EXPECT_EQ(Rule(), "one configuration an index");
}

TEST_F(RaftCheckTest, QuorumsOfConsecutiveConfigurationsOverlap) {
  checker_.OnConf(1, 5, Voters({1, 2, 4}, {1, 2, 3}));
  checker_.OnConf(1, 6, Voters({4, 5, 6}, {1, 2, 4}));
  checker_.OnConf(1, 7, Voters({4, 5, 6}));
  checker_.OnConf(1, 8, Voters({4, 5, 6, 7}));
  EXPECT_EQ(checker_.verdict().text, "");
  checker_.OnConf(1, 9, Voters({4, 5, 8, 9}));
  EXPECT_EQ(Rule(), "quorums overlap");
}

TEST_F(RaftCheckTest, TwoSingleChangesAtOnceNeedNotOverlap) {
  checker_.OnConf(1, 5, Voters({1, 2, 3, 4, 5}));
  EXPECT_EQ(Rule(), "quorums overlap");
}

}  // namespace
}  // namespace keel::sim
