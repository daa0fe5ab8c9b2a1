// Messages that no correct peer would send: refused without any change, and
// never more than a nuisance.
#include <gtest/gtest.h>

#include <random>

#include "raft/core/testing/member.h"

namespace keel::raft::testing {
namespace {

Entry At(Index index, Term term) { return {.term = term, .index = index, .data = Data("x")}; }

// 2 follows 1 in term 3; entries 1 to 3 of terms 1, 2, 3, committed up to 2.
class HostileMessageTest : public ::testing::Test {
 protected:
  HostileMessageTest() : node(2, {.voters = {1, 2, 3}}, {}) {
    EXPECT_TRUE(node.raft()
                    .Step({.type = MessageType::kAppend,
                           .from = 1,
                           .to = 2,
                           .term = 3,
                           .entries = {At(1, 1), At(2, 2), At(3, 3)},
                           .commit = 2})
                    .ok());
    node.Process();
    node.TakeMessages();
  }

  void ExpectRefused(Message m) {
    SCOPED_TRACE(static_cast<int>(m.type));
    if (m.from == kNoNode) m.from = 1;
    if (m.to == kNoNode) m.to = 2;
    const Status before = node.raft().GetStatus();
    EXPECT_TRUE(absl::IsInvalidArgument(node.raft().Step(std::move(m))));
    const Status after = node.raft().GetStatus();
    EXPECT_EQ(after.hard_state, before.hard_state);
    EXPECT_EQ(after.soft_state, before.soft_state);
    EXPECT_FALSE(node.raft().HasReady());
  }

  Member node;
};

TEST_F(HostileMessageTest, Envelope) {
  ExpectRefused({.type = static_cast<MessageType>(99), .term = 3});
  ExpectRefused({.type = MessageType::kHeartbeat, .to = 7, .term = 3});
  ExpectRefused({.type = MessageType::kHeartbeat, .from = 2, .term = 3});
  ExpectRefused({.type = MessageType::kHeartbeat, .term = 0});
  ExpectRefused({.type = MessageType::kPropose, .term = 3, .entries = {At(1, 1)}});
  ExpectRefused({.type = MessageType::kHeartbeat, .term = ~Term{0}});
  ExpectRefused({.type = MessageType::kVoteResponse, .term = 2});
}

TEST_F(HostileMessageTest, Entries) {
  ExpectRefused({.type = MessageType::kPropose});
  ExpectRefused({.type = MessageType::kHeartbeat, .term = 3, .entries = {At(1, 1)}});
  Message append{.type = MessageType::kAppend, .term = 4, .index = 3, .log_term = 3};
  auto with = [&](std::vector<Entry> entries) {
    Message m = append;
    m.entries = std::move(entries);
    return m;
  };
  ExpectRefused(with({At(5, 4)}));
  ExpectRefused(with({At(4, 4), At(6, 4)}));
  ExpectRefused(with({At(4, 5)}));
  ExpectRefused(with({At(4, 2)}));
  ExpectRefused(with({At(4, 4), At(5, 3)}));
  ExpectRefused(with({Entry{.term = 4, .index = 4}}));
  ExpectRefused(with({Entry{.term = 4, .index = 4, .type = EntryType(9), .data = Data("")}}));
  append.log_term = 0;
  ExpectRefused(append);
  append.log_term = 9;
  ExpectRefused(append);
  append.index = ~Index{0};
  ExpectRefused(append);
}

TEST_F(HostileMessageTest, WhatIsCommittedStays) {
  ExpectRefused(
      {.type = MessageType::kAppend, .term = 4, .index = 1, .log_term = 1, .entries = {At(2, 4)}});
}

TEST_F(HostileMessageTest, ASecondLeaderInTheSameTerm) {
  ExpectRefused({.type = MessageType::kHeartbeat, .from = 3, .term = 3});
  ExpectRefused({.type = MessageType::kAppend, .from = 3, .term = 3});
}

TEST_F(HostileMessageTest, Snapshots) {
  auto with = [](SnapshotMeta meta) {
    return Message{.type = MessageType::kSnapshot, .term = 3, .snapshot = std::move(meta)};
  };
  ExpectRefused(with({.index = 0, .term = 1, .conf = {.voters = {1}}}));
  ExpectRefused(with({.index = 9, .term = 0, .conf = {.voters = {1}}}));
  ExpectRefused(with({.index = 9, .term = 9, .conf = {.voters = {1}}}));
  ExpectRefused(with({.index = 9, .term = 3}));
  ExpectRefused(with({.index = 9, .term = 3, .conf = {.voters = {2, 1}}}));
}

TEST_F(HostileMessageTest, ACandidateWhoseLogEndsInItsOwnTerm) {
  ExpectRefused({.type = MessageType::kVote, .term = 4, .index = 9, .log_term = 4});
}

TEST(HostileAnswerTest, ALeaderBelievesNoAnswerToWhatItNeverSent) {
  Network net({1, 2, 3});
  net.Elect(1);
  Raft& leader = net.raft(1);
  EXPECT_TRUE(absl::IsInvalidArgument(leader.Step(
      {.type = MessageType::kAppendResponse, .from = 2, .to = 1, .term = 1, .index = 99})));
  EXPECT_TRUE(absl::IsInvalidArgument(leader.Step(
      {.type = MessageType::kHeartbeatResponse, .from = 2, .to = 1, .term = 1, .context = 99})));
  EXPECT_TRUE(absl::IsInvalidArgument(leader.Step(
      {.type = MessageType::kAppendResponse, .from = 9, .to = 1, .term = 1, .index = 1})));
  EXPECT_EQ(leader.commit(), 1);
}

// Messages with every field drawn from small ranges, so that many nearly fit.
class Generator {
 public:
  explicit Generator(uint64_t seed) : rng_(seed) {}

  uint64_t Draw(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(rng_); }

  // Mostly small, now and then at the edges of the type.
  uint64_t Number(uint64_t near) {
    switch (Draw(40)) {
      case 0:
        return ~uint64_t{0};
      case 1:
        return uint64_t{1} << 62;
      default:
        return Draw(near + 4);
    }
  }

  ConfState Conf() {
    ConfState conf;
    for (NodeId id = 1; id <= 4; ++id) {
      const uint64_t list = Draw(5);
      if (list <= 1) conf.voters.push_back(id);
      if (list == 2) conf.learners.push_back(id);
      if (list == 3) conf.voters_outgoing.push_back(id);
    }
    if (Draw(5) == 0) conf.auto_leave = true;
    return conf;
  }

  Message Next(const Raft& raft) {
    Message m;
    m.type = static_cast<MessageType>(Draw(15));
    m.from = Draw(20) == 0 ? Draw(6) : 2 + Draw(2);
    m.to = Draw(50) == 0 ? Draw(4) : 1;
    m.term = Draw(8) == 0 ? Number(raft.term()) : raft.term() + Draw(2);
    if (m.type == MessageType::kPropose || m.type == MessageType::kReadIndex ||
        m.type == MessageType::kTransferLeader) {
      m.term = Draw(10) == 0 ? 1 : 0;
    }
    m.index = Number(raft.commit() + 3);
    m.log_term = Draw(4) == 0 ? Number(m.term) : m.term - Draw(2) * (m.term > 0);
    m.commit = Number(raft.commit() + 3);
    m.reject = Draw(3) == 0;
    m.reject_hint = Number(raft.commit() + 3);
    m.context = Draw(3) == 0 ? Number(5) : Draw(3);
    if (m.type == MessageType::kAppend || m.type == MessageType::kPropose || Draw(30) == 0) {
      Index index = m.index;
      for (uint64_t i = Draw(4); i > 0; --i) {
        Entry entry =
            At(Draw(20) == 0 ? Number(9) : ++index, Draw(6) == 0 ? Number(m.term) : m.term);
        if (Draw(6) == 0) {
          entry.type = EntryType::kConfChange;
          entry.data = Data(Draw(4) == 0 ? "junk" : EncodeConfChange({}));
        }
        if (Draw(60) == 0) entry.data = nullptr;
        m.entries.push_back(std::move(entry));
      }
    }
    if (m.type == MessageType::kSnapshot) {
      m.snapshot = {.index = Number(raft.commit() + 3), .term = Number(m.term), .conf = Conf()};
    }
    return m;
  }

 private:
  std::mt19937_64 rng_;
};

TEST(HostileFuzzTest, RandomMessagesNeverStopTheProcessOrTakeBackACommit) {
  uint64_t accepted = 0;
  uint64_t leaders = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    Generator generate(seed);
    Config config;
    config.pre_vote = generate.Draw(2) == 0;
    config.check_quorum = generate.Draw(2) == 0;
    Member node(1, {.voters = {1, 2, 3}}, config);
    node.hold_disk = generate.Draw(2) == 0;
    node.fetch_snapshot = [](Index) { return std::vector<std::string>{}; };
    Index commit = 0;
    Term term = 0;
    for (int i = 0; i < 400; ++i) {
      switch (generate.Draw(12)) {
        case 0:
          node.raft().Tick();
          break;
        case 1:
          node.raft().Campaign();
          break;
        case 2:
          node.raft().Propose(Data("y")).IgnoreError();
          break;
        case 3:
          node.raft().ReadIndex(static_cast<uint64_t>(i) + 1).IgnoreError();
          break;
        case 4:
          if (node.writes() > 0) node.PersistOne();
          break;
        default:
          accepted += node.raft().Step(generate.Next(node.raft())).ok();
      }
      node.Process();
      node.TakeMessages();
      ASSERT_GE(node.raft().commit(), commit);
      ASSERT_GE(node.raft().term(), term);
      ASSERT_LE(node.raft().applied(), node.raft().commit());
      commit = node.raft().commit();
      term = node.raft().term();
      leaders += node.raft().role() == Role::kLeader;
    }
  }
  EXPECT_GT(accepted, 10000) << "most messages must get past validation to test anything";
  EXPECT_GT(leaders, 1000);
}

}  // namespace
}  // namespace keel::raft::testing
