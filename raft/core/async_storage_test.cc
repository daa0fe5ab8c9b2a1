// What may be said before the disk has spoken, and what may not
// (asynchronous storage: thesis, section 10.2.1).
#include <gtest/gtest.h>

#include <algorithm>

#include "raft/core/testing/member.h"

namespace keel::raft::testing {
namespace {

using Texts = std::vector<std::string>;

bool Has(const std::vector<Message>& messages, MessageType type) {
  return std::any_of(messages.begin(), messages.end(),
                     [type](const Message& m) { return m.type == type; });
}

Entry At(Index index, Term term, const char* text = "x") {
  return {.term = term, .index = index, .data = Data(text)};
}

Member Three(NodeId id) { return Member(id, {.voters = {1, 2, 3}}, {}); }

TEST(AsyncStorageTest, TheLeaderSendsEntriesBeforeTheyAreDurable) {
  Network net({1, 2, 3});
  net.Elect(1);
  net[1].hold_disk = true;
  ASSERT_TRUE(net.raft(1).Propose(Data("a")).ok());
  net[1].Process();
  EXPECT_TRUE(Has(net[1].TakeMessages(), MessageType::kAppend));
}

TEST(AsyncStorageTest, FollowersAloneCanCommitButTheLeaderAppliesOnlyWhatItHolds) {
  Network net({1, 2, 3});
  net.Elect(1);
  net[1].hold_disk = true;
  net.Propose(1, "a");
  EXPECT_EQ(net.raft(1).commit(), 2) << "2 and 3 have it";
  EXPECT_EQ(net[2].applied, Texts{"a"});
  EXPECT_TRUE(net[1].applied.empty());
  net[1].hold_disk = false;
  net.Settle();
  EXPECT_EQ(net[1].applied, Texts{"a"});
}

TEST(AsyncStorageTest, TheLeadersOwnVoteForAnEntryCountsOnceDurable) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  net[1].hold_disk = true;
  net.Propose(1, "a");
  EXPECT_EQ(net.raft(1).commit(), 1) << "only 2 has it for certain";
  net[1].hold_disk = false;
  net.Settle();
  EXPECT_EQ(net.raft(1).commit(), 2);
}

TEST(AsyncStorageTest, AFollowerAcknowledgesOnlyWhatIsDurable) {
  Member follower = Three(2);
  follower.hold_disk = true;
  ASSERT_TRUE(
      follower.raft()
          .Step(
              {.type = MessageType::kAppend, .from = 1, .to = 2, .term = 1, .entries = {At(1, 1)}})
          .ok());
  follower.Process();
  EXPECT_FALSE(Has(follower.TakeMessages(), MessageType::kAppendResponse));
  follower.hold_disk = false;
  follower.Process();
  EXPECT_TRUE(Has(follower.TakeMessages(), MessageType::kAppendResponse));
}

TEST(AsyncStorageTest, AVoteIsGivenOnlyOnceItIsDurable) {
  Member voter = Three(2);
  voter.hold_disk = true;
  ASSERT_TRUE(voter.raft().Step({.type = MessageType::kVote, .from = 1, .to = 2, .term = 1}).ok());
  voter.Process();
  EXPECT_FALSE(Has(voter.TakeMessages(), MessageType::kVoteResponse));
  voter.Restart();  // it forgets a vote that nobody has seen
  EXPECT_EQ(voter.raft().term(), 0);
}

TEST(AsyncStorageTest, ACandidateAsksAndCountsItselfOnlyOnceItsOwnVoteIsDurable) {
  Member candidate(1, {.voters = {1, 2, 3}}, {.pre_vote = false});
  candidate.hold_disk = true;
  candidate.raft().Campaign();
  candidate.Process();
  EXPECT_FALSE(Has(candidate.TakeMessages(), MessageType::kVote));
  // A vote that arrives early (say, by a transfer's older request) is not enough with a
  // vote of its own that a crash could still undo.
  ASSERT_TRUE(candidate.raft()
                  .Step({.type = MessageType::kVoteResponse, .from = 2, .to = 1, .term = 1})
                  .ok());
  EXPECT_EQ(candidate.raft().role(), Role::kCandidate);
  candidate.hold_disk = false;
  candidate.Process();
  EXPECT_EQ(candidate.raft().role(), Role::kLeader);
}

TEST(AsyncStorageTest, ASingleMemberElectsItselfAndCommitsAtThePaceOfItsDisk) {
  Member member(1, {.voters = {1}}, {});
  member.hold_disk = true;
  member.raft().Campaign();
  member.Process();
  EXPECT_EQ(member.raft().role(), Role::kCandidate);
  member.PersistOne();
  member.Process();
  EXPECT_EQ(member.raft().role(), Role::kLeader);
  EXPECT_EQ(member.raft().commit(), 0);
  ASSERT_TRUE(member.raft().Propose(Data("a")).ok());
  member.hold_disk = false;
  member.Process();
  EXPECT_EQ(member.raft().commit(), 2);
  EXPECT_EQ(member.applied, Texts{"a"});
  member.Restart();
  EXPECT_EQ(member.raft().term(), 1);
  EXPECT_EQ(member.log().LastIndex(), 2);
}

TEST(AsyncStorageTest, AnOverwrittenWriteIsNotTakenForItsReplacement) {
  // Entry 1 of term 1 is on its way to disk when the leader of term 2 replaces
  // it by its own entry 1 and says it is committed. When the first write ends,
  // index 1 is durable, but with the wrong entry.
  Member follower = Three(2);
  follower.hold_disk = true;
  ASSERT_TRUE(follower.raft()
                  .Step({.type = MessageType::kAppend,
                         .from = 1,
                         .to = 2,
                         .term = 1,
                         .entries = {At(1, 1, "old")}})
                  .ok());
  follower.Process();
  ASSERT_TRUE(follower.raft()
                  .Step({.type = MessageType::kAppend,
                         .from = 3,
                         .to = 2,
                         .term = 2,
                         .entries = {At(1, 2, "new")},
                         .commit = 1})
                  .ok());
  follower.Process();
  ASSERT_EQ(follower.writes(), 2);
  follower.PersistOne();
  follower.Process();
  EXPECT_EQ(follower.raft().commit(), 1);
  EXPECT_TRUE(follower.applied.empty());
  for (const Message& m : follower.TakeMessages()) {
    EXPECT_FALSE(m.type == MessageType::kAppendResponse && m.term == 2);
  }
  follower.hold_disk = false;
  follower.Process();
  EXPECT_EQ(follower.applied, Texts{"new"});
}

TEST(AsyncStorageTest, OnlyACommitNeedsNoSync) {
  Network net({1, 2, 3});
  net.Elect(1);
  bool commit_alone = false;
  net[2].on_ready = [&](const Ready& ready) {
    if (ready.entries.empty() && ready.hard_state) {
      commit_alone = true;
      EXPECT_FALSE(ready.must_sync);
    }
    EXPECT_TRUE(ready.entries.empty() || ready.must_sync);
  };
  net.Propose(1, "a");
  EXPECT_TRUE(commit_alone);
}

TEST(AsyncStorageTest, ATermOrAVoteAloneNeedsASync) {
  Network net({1, 2, 3});
  int changes = 0;
  HardState before;
  net[2].on_ready = [&](const Ready& ready) {
    if (!ready.entries.empty() || !ready.hard_state) return;
    if (ready.hard_state->term == before.term && ready.hard_state->vote == before.vote) return;
    before = *ready.hard_state;
    ++changes;
    EXPECT_TRUE(ready.must_sync) << "term " << before.term << " vote " << before.vote;
  };
  net.Elect(1);
  EXPECT_EQ(before.vote, 1);
  EXPECT_GE(changes, 1);
  // A term by itself: a candidate of a later one whose log is too short for a vote.
  const int with_vote = changes;
  ASSERT_TRUE(net.raft(2)
                  .Step({.type = MessageType::kAppend, .from = 3, .to = 2, .term = before.term + 1})
                  .ok());
  net[2].Process();
  EXPECT_EQ(before.vote, kNoNode);
  EXPECT_GT(changes, with_vote);
}

TEST(AsyncStorageTest, AStalledDiskCostsALeaderItsOffice) {
  Network net({1, 2, 3}, {}, {.disk_stall_ticks = 5});
  net.Elect(1);
  net[1].hold_disk = true;
  net.Propose(1, "a");
  net.Tick(4);
  EXPECT_EQ(net.raft(1).role(), Role::kLeader);
  net.Tick();
  EXPECT_EQ(net.raft(1).role(), Role::kFollower);
  EXPECT_TRUE(net.raft(2).role() == Role::kLeader || net.raft(3).role() == Role::kLeader)
      << "it named a successor";
  EXPECT_EQ(net[2].applied, Texts{"a"});
}

TEST(AsyncStorageTest, AnIdleLeaderHasNoStalledDisk) {
  Network net({1, 2, 3}, {}, {.disk_stall_ticks = 3});
  net.Elect(1);
  net[1].hold_disk = true;
  net.Tick(30);
  EXPECT_EQ(net.raft(1).role(), Role::kLeader);
}

TEST(AsyncStorageTest, AMemberInstallingASnapshotTakesNoEntriesUntilItIsDurable) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  for (const char* text : {"a", "b", "c"}) net.Propose(1, text);
  net[1].Compact(4);
  net.Heal();
  net[3].hold_disk = true;
  net.Tick(2);
  EXPECT_EQ(net.raft(3).commit(), 4);
  EXPECT_TRUE(net[3].applied.empty());
  net.Propose(1, "d");
  net.Tick(3);
  EXPECT_EQ(net.raft(3).commit(), 4);
  net[3].hold_disk = false;
  net.Settle();
  net.Tick();
  EXPECT_EQ(net[3].applied, (Texts{"a", "b", "c", "d"}));
}

TEST(AsyncStorageTest, AWipedMemberIsBroughtUpToDate) {
  Network net({1, 2, 3});
  net.Elect(1);
  for (const char* text : {"a", "b"}) net.Propose(1, text);
  net[3].Wipe();
  net.Tick(3);
  EXPECT_EQ(net[3].applied, (Texts{"a", "b"}));
  net.Propose(1, "c");
  net[1].Compact(3);
  net[3].Wipe();
  net.Tick(5);
  EXPECT_EQ(net[3].applied, (Texts{"a", "b", "c"}));
}

TEST(AsyncStorageTest, ATornWriteBetweenEntriesAndTermIsAccepted) {
  MemoryLog log;
  log.Append({At(1, 1), At(2, 4)});
  Config config{.id = 1};
  config.random = [](uint64_t) { return 0; };
  Raft raft(config, &log, {.term = 3, .vote = 2, .commit = 1}, {.voters = {1, 2, 3}}, 0);
  EXPECT_EQ(raft.term(), 4);
  EXPECT_EQ(raft.GetStatus().hard_state.vote, kNoNode);
  ASSERT_TRUE(raft.HasReady());
  EXPECT_EQ(raft.TakeReady().hard_state->term, 4);
}

TEST(AsyncStorageDeathTest, PersistedOutOfOrderStopsTheProcess) {
  Member member(1, {.voters = {1}}, {});
  EXPECT_DEATH(member.raft().Persisted(1), "out of order");
  EXPECT_DEATH(member.raft().Applied(5), "handed out only up to 0");
}

}  // namespace
}  // namespace keel::raft::testing
