// The behaviour that the Raft paper (extended version) describes, section by
// section. Larger stories are scripts in tests/interaction.
#include <gtest/gtest.h>

#include "raft/core/testing/member.h"

namespace keel::raft::testing {
namespace {

using Texts = std::vector<std::string>;

Config NoPreVote() {
  Config config;
  config.pre_vote = false;
  config.check_quorum = false;
  return config;
}

// A member whose disk already holds entries of these terms.
struct Lone {
  explicit Lone(std::vector<Term> log_terms, HardState hard_state, std::vector<NodeId> voters,
                Config config = NoPreVote()) {
    std::vector<Entry> entries;
    for (Term term : log_terms) {
      entries.push_back({.term = term, .index = entries.size() + 1, .data = Data("x")});
    }
    log.Append(entries);
    config.id = 1;
    config.random = [](uint64_t) { return 0; };
    raft = std::make_unique<Raft>(config, &log, hard_state, ConfState{.voters = voters}, 0);
  }

  // Everything there is, made durable at once.
  std::vector<Message> Process() {
    std::vector<Message> sent;
    while (raft->HasReady()) {
      Ready ready = raft->TakeReady();
      log.Append(ready.entries);
      sent.insert(sent.end(), ready.messages.begin(), ready.messages.end());
      sent.insert(sent.end(), ready.persisted_messages.begin(), ready.persisted_messages.end());
      for (const Entry& entry : ready.committed) committed.push_back(entry.index);
      raft->Persisted(ready.id);
      if (!ready.committed.empty()) raft->Applied(ready.committed.back().index);
    }
    return sent;
  }

  std::vector<Message> Step(Message m) {
    m.to = 1;
    status = raft->Step(std::move(m));
    return Process();
  }

  MemoryLog log;
  std::unique_ptr<Raft> raft;
  std::vector<Index> committed;
  absl::Status status;
};

std::vector<Entry> Entries(Index first, std::vector<Term> terms) {
  std::vector<Entry> entries;
  for (Term term : terms) entries.push_back({.term = term, .index = first++, .data = Data("y")});
  return entries;
}

// --- 5.1 -------------------------------------------------------------------

TEST(PaperTest, Section51AHigherTermMakesAnyoneAFollower) {
  for (Role role : {Role::kFollower, Role::kCandidate, Role::kLeader}) {
    Lone node({}, {.term = 1}, {1, 2, 3});
    if (role != Role::kFollower) node.raft->Campaign();
    node.Process();
    if (role == Role::kLeader) {
      node.Step({.type = MessageType::kVoteResponse, .from = 2, .term = 2});
    }
    ASSERT_EQ(node.raft->role(), role);
    node.Step({.type = MessageType::kAppend, .from = 2, .term = 5});
    EXPECT_EQ(node.raft->role(), Role::kFollower);
    EXPECT_EQ(node.raft->term(), 5);
    EXPECT_EQ(node.raft->leader(), 2);
  }
}

TEST(PaperTest, Section51AStaleTermIsRefused) {
  Lone node({}, {.term = 4}, {1, 2, 3});
  node.Step({.type = MessageType::kAppend, .from = 2, .term = 3, .entries = Entries(1, {3})});
  EXPECT_TRUE(absl::IsInvalidArgument(node.status));
  EXPECT_EQ(node.log.LastIndex(), 0);
  EXPECT_EQ(node.raft->leader(), kNoNode);
}

// --- 5.2 -------------------------------------------------------------------

TEST(PaperTest, Section52AFollowerThatHearsNothingStartsAnElection) {
  Lone node({}, {}, {1, 2, 3});
  for (int i = 0; i < 9; ++i) node.raft->Tick();
  EXPECT_TRUE(node.Process().empty());
  node.raft->Tick();
  const std::vector<Message> sent = node.Process();
  ASSERT_EQ(sent.size(), 2);
  for (const Message& m : sent) {
    EXPECT_EQ(m.type, MessageType::kVote);
    EXPECT_EQ(m.term, 1);
  }
  EXPECT_EQ(node.raft->GetStatus().hard_state.vote, 1);
}

TEST(PaperTest, Section52ALeaderSendsHeartbeatsAtEachInterval) {
  Lone node({}, {}, {1, 2, 3});
  node.raft->Campaign();
  node.Process();
  node.Step({.type = MessageType::kVoteResponse, .from = 2, .term = 1});
  node.raft->Tick();
  const std::vector<Message> sent = node.Process();
  ASSERT_EQ(sent.size(), 2);
  EXPECT_EQ(sent[0].type, MessageType::kHeartbeat);
}

TEST(PaperTest, Section52AMajorityOfVotesElects) {
  struct Case {
    std::vector<NodeId> voters;
    std::vector<NodeId> granted;
    std::vector<NodeId> refused;
    Role role;
  };
  for (const Case& c :
       {Case{{1}, {}, {}, Role::kLeader}, Case{{1, 2, 3}, {2}, {}, Role::kLeader},
        Case{{1, 2, 3}, {}, {2}, Role::kCandidate}, Case{{1, 2, 3}, {}, {2, 3}, Role::kFollower},
        Case{{1, 2, 3, 4, 5}, {2, 3}, {}, Role::kLeader},
        Case{{1, 2, 3, 4, 5}, {2}, {3, 4}, Role::kCandidate},
        Case{{1, 2, 3, 4, 5}, {2}, {3, 4, 5}, Role::kFollower}}) {
    Lone node({}, {}, c.voters);
    node.raft->Campaign();
    node.Process();
    for (NodeId id : c.granted) {
      node.Step({.type = MessageType::kVoteResponse, .from = id, .term = 1});
    }
    for (NodeId id : c.refused) {
      node.Step({.type = MessageType::kVoteResponse, .from = id, .term = 1, .reject = true});
    }
    EXPECT_EQ(node.raft->role(), c.role)
        << c.voters.size() << " voters, granted by " << c.granted.size();
  }
}

TEST(PaperTest, Section52AMemberVotesOnceATermFirstComeFirstServed) {
  Lone node({}, {}, {1, 2, 3});
  std::vector<Message> sent = node.Step({.type = MessageType::kVote, .from = 2, .term = 1});
  ASSERT_EQ(sent.size(), 1);
  EXPECT_FALSE(sent[0].reject);
  sent = node.Step({.type = MessageType::kVote, .from = 3, .term = 1});
  EXPECT_TRUE(sent.at(0).reject);
  sent = node.Step({.type = MessageType::kVote, .from = 2, .term = 1});
  EXPECT_FALSE(sent.at(0).reject) << "the same candidate may ask again";
}

TEST(PaperTest, Section52AVoteSurvivesARestart) {
  Lone node({}, {.term = 3, .vote = 2}, {1, 2, 3});
  EXPECT_TRUE(node.Step({.type = MessageType::kVote, .from = 3, .term = 3}).at(0).reject);
}

TEST(PaperTest, Section52ACandidateYieldsToALeaderOfItsTerm) {
  Lone node({}, {}, {1, 2, 3});
  node.raft->Campaign();
  node.Process();
  node.Step({.type = MessageType::kAppend, .from = 3, .term = 1});
  EXPECT_EQ(node.raft->role(), Role::kFollower);
  EXPECT_EQ(node.raft->leader(), 3);
}

TEST(PaperTest, Section52TimeoutsAreSpreadOverTheWholeRange) {
  uint64_t next = 0;
  std::vector<int> seen(20);
  MemoryLog log;
  Config config = NoPreVote();
  config.id = 1;
  config.random = [&](uint64_t n) { return next++ % n; };
  Raft raft(config, &log, {}, {.voters = {1, 2}}, 0);
  for (int elections = 0; elections < 40; ++elections) {
    const Term term = raft.term();
    int ticks = 0;
    while (raft.term() == term) {
      raft.Tick();
      ++ticks;
    }
    ASSERT_GE(ticks, 10);
    ASSERT_LT(ticks, 20);
    ++seen[ticks];
  }
  for (int ticks = 10; ticks < 20; ++ticks) EXPECT_GT(seen[ticks], 0) << ticks;
}

// --- 5.3 -------------------------------------------------------------------

TEST(PaperTest, Section53AnEntryCommitsOnceAMajorityHasIt) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  net.Propose(1, "a");
  EXPECT_EQ(net[1].applied, Texts{"a"});
  EXPECT_EQ(net[2].applied, Texts{"a"});
  net.Isolate(2);
  net.Propose(1, "b");
  EXPECT_EQ(net[1].applied, Texts{"a"}) << "nobody else has b";
  net.Heal();
  net.Tick();
  for (NodeId id : {1, 2, 3}) EXPECT_EQ(net[id].applied, (Texts{"a", "b"}));
}

TEST(PaperTest, Section53AFollowerChecksThePreviousEntry) {
  struct Case {
    Index index;
    Term term;
    bool accept;
  };
  for (const Case& c : {Case{0, 0, true}, Case{1, 1, true}, Case{2, 2, true}, Case{1, 2, false},
                        Case{2, 1, false}, Case{3, 3, false}}) {
    Lone node({1, 2}, {.term = 2}, {1, 2, 3});
    const Message answer = node.Step({.type = MessageType::kAppend,
                                      .from = 2,
                                      .term = 3,
                                      .index = c.index,
                                      .log_term = c.term})
                               .at(0);
    EXPECT_EQ(answer.reject, !c.accept) << c.index << "/" << c.term;
    EXPECT_EQ(answer.index, c.index);
  }
}

TEST(PaperTest, Section53AFollowersConflictingEntriesAreReplaced) {
  struct Case {
    Index prev;
    Term prev_term;
    std::vector<Term> append;
    std::vector<Term> log;
  };
  for (const Case& c : {Case{2, 2, {3}, {1, 2, 3}}, Case{1, 1, {3, 4}, {1, 3, 4}},
                        Case{0, 0, {1}, {1, 2}}, Case{0, 0, {3}, {3}}}) {
    Lone node({1, 2}, {.term = 2}, {1, 2, 3});
    node.Step({.type = MessageType::kAppend,
               .from = 2,
               .term = 4,
               .index = c.prev,
               .log_term = c.prev_term,
               .entries = Entries(c.prev + 1, c.append)});
    std::vector<Term> log;
    for (const Entry& entry : node.log.entries()) log.push_back(entry.term);
    EXPECT_EQ(log, c.log);
  }
}

TEST(PaperTest, Section53AnOvertakenAppendDoesNotCutTheLogShort) {
  Lone node({}, {}, {1, 2, 3});
  node.Step({.type = MessageType::kAppend, .from = 2, .term = 1, .entries = Entries(1, {1, 1, 1})});
  const Message answer =
      node.Step({.type = MessageType::kAppend, .from = 2, .term = 1, .entries = Entries(1, {1})})
          .at(0);
  EXPECT_EQ(node.log.LastIndex(), 3);
  EXPECT_EQ(answer.index, 1) << "answers for what it was asked";
}

TEST(PaperTest, Section53AFollowerCommitsNoFurtherThanWhatTheMessageProves) {
  Lone node({1, 1, 1}, {.term = 1}, {1, 2, 3});
  // Entries 2 and 3 may differ from the leader's.
  node.Step(
      {.type = MessageType::kAppend, .from = 2, .term = 2, .index = 1, .log_term = 1, .commit = 3});
  EXPECT_EQ(node.raft->commit(), 1);
}

// Figure 7: a leader of term 8 brings followers with all kinds of logs in line.
TEST(PaperTest, Figure7EveryFollowersLogBecomesTheLeaders) {
  const std::vector<Term> leader_log{1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
  for (const std::vector<Term>& follower_log :
       {std::vector<Term>{1, 1, 1, 4, 4, 5, 5, 6, 6}, std::vector<Term>{1, 1, 1, 4},
        std::vector<Term>{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
        std::vector<Term>{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},
        std::vector<Term>{1, 1, 1, 4, 4, 4, 4},
        std::vector<Term>{1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}}) {
    Lone leader(leader_log, {.term = 7}, {1, 2, 3});
    Lone follower(follower_log, {.term = 7}, {1, 2, 3});
    leader.raft->Campaign();
    leader.Process();
    std::vector<Message> to_follower =
        leader.Step({.type = MessageType::kVoteResponse, .from = 3, .term = 8});
    int rounds = 0;
    while (!to_follower.empty()) {
      std::vector<Message> answers;
      for (Message& m : to_follower) {
        if (m.to != 2) continue;
        // The follower plays member 1 in its own world, the leader is its member 2.
        m.from = 2;
        for (Message& answer : follower.Step(std::move(m))) answers.push_back(std::move(answer));
      }
      to_follower.clear();
      for (Message& answer : answers) {
        answer.from = 2;
        for (Message& m : leader.Step(std::move(answer))) to_follower.push_back(std::move(m));
      }
      ASSERT_LT(++rounds, 8) << "whole terms are skipped";
    }
    ASSERT_EQ(follower.log.LastIndex(), 11);
    for (Index i = 1; i <= 11; ++i) EXPECT_EQ(*follower.log.TermAt(i), *leader.log.TermAt(i));
    EXPECT_EQ(follower.raft->commit(), 11);
  }
}

// --- 5.4 -------------------------------------------------------------------

TEST(PaperTest, Section541OnlyAnUpToDateCandidateGetsAVote) {
  struct Case {
    std::vector<Term> mine;
    Index last;
    Term last_term;
    bool granted;
  };
  for (const Case& c : {Case{{1}, 1, 1, true}, Case{{1}, 2, 1, true}, Case{{1, 1}, 1, 1, false},
                        Case{{1}, 1, 2, true}, Case{{1, 1}, 1, 2, true}, Case{{2}, 1, 1, false},
                        Case{{2}, 9, 1, false}}) {
    Lone node(c.mine, {.term = 2}, {1, 2, 3});
    const Message answer = node.Step({.type = MessageType::kVote,
                                      .from = 2,
                                      .term = 3,
                                      .index = c.last,
                                      .log_term = c.last_term})
                               .at(0);
    EXPECT_EQ(answer.reject, !c.granted) << c.last << "/" << c.last_term;
  }
}

TEST(PaperTest, Figure8EntriesOfEarlierTermsAreNotCommittedByCounting) {
  // (c) of the figure: the leader of term 4 has entry 2 of term 2 on a majority,
  // and no entry of its own there yet.
  Lone leader({1, 2}, {.term = 3, .commit = 1}, {1, 2, 3, 4, 5});
  leader.raft->Campaign();
  leader.Process();
  for (NodeId id : {2, 3}) {
    leader.Step({.type = MessageType::kVoteResponse, .from = id, .term = 4});
  }
  ASSERT_EQ(leader.raft->role(), Role::kLeader);
  for (NodeId id : {2, 3}) {
    leader.Step({.type = MessageType::kAppendResponse, .from = id, .term = 4, .index = 2});
  }
  EXPECT_EQ(leader.raft->commit(), 1);
  // (e): an entry of its own on a majority commits both.
  for (NodeId id : {2, 3}) {
    leader.Step({.type = MessageType::kAppendResponse, .from = id, .term = 4, .index = 3});
  }
  EXPECT_EQ(leader.raft->commit(), 3);
}

TEST(PaperTest, Section54ANewLeaderKeepsWhatWasCommitted) {
  Network net({1, 2, 3});
  net.Elect(1);
  net.Isolate(3);
  net.Propose(1, "a");
  net.Heal();
  net.Isolate(1);
  net.raft(3).Campaign();
  net.Settle();
  EXPECT_NE(net.raft(3).role(), Role::kLeader) << "3 lacks the committed entry";
  net.Tick(25);
  EXPECT_EQ(net.raft(2).role(), Role::kLeader);
  EXPECT_EQ(net[3].applied, Texts{"a"});
}

}  // namespace
}  // namespace keel::raft::testing
