// Misuse of the core's interface stops the process and says which rule is broken.
#include <gtest/gtest.h>

#include "raft/core/testing/member.h"

namespace keel::raft::testing {
namespace {

Config Good() {
  Config config{.id = 1};
  config.random = [](uint64_t) { return 0; };
  return config;
}

Entry At(Index index, Term term) { return {.term = term, .index = index, .data = Data("x")}; }

// A single voter: leads at once and owes one write.
class MisuseDeathTest : public ::testing::Test {
 protected:
  MisuseDeathTest() : raft_(Good(), &log_, {}, {.voters = {1}}, 0) {}

  Ready Take() {
    Ready ready = raft_.TakeReady();
    log_.Append(ready.entries);
    return ready;
  }
  // Leads, with its first entry durable and handed out for apply.
  void Lead() {
    raft_.Campaign();
    raft_.Persisted(Take().id);
    while (raft_.HasReady()) raft_.Persisted(Take().id);
  }

  MemoryLog log_;
  Raft raft_;
};

TEST_F(MisuseDeathTest, AReadyTakenTwice) {
  EXPECT_DEATH(raft_.TakeReady(), "TakeReady without HasReady");
  raft_.Campaign();
  Take();
  ASSERT_FALSE(raft_.HasReady());
  EXPECT_DEATH(raft_.TakeReady(), "TakeReady without HasReady");
}

TEST_F(MisuseDeathTest, PersistedOfNothingTwiceOrOutOfOrder) {
  EXPECT_DEATH(raft_.Persisted(1), "Persisted\\(1\\) out of order; next=0");
  raft_.Campaign();
  const uint64_t first = Take().id;
  raft_.Campaign();  // not leader yet: the term goes up again
  const uint64_t second = Take().id;
  EXPECT_DEATH(raft_.Persisted(second), "out of order; next=1");
  raft_.Persisted(first);
  EXPECT_DEATH(raft_.Persisted(first), "out of order; next=2");
  raft_.Persisted(second);
}

TEST_F(MisuseDeathTest, AppliedBeyondWhatWasHandedOut) {
  EXPECT_DEATH(raft_.Applied(1), "applied=1 but handed out only up to 0");
  Lead();
  EXPECT_EQ(raft_.commit(), 1);
  EXPECT_DEATH(raft_.Applied(2), "applied=2 but handed out only up to 1");
  raft_.Applied(1);
  raft_.Applied(1);  // the same again is no news and no harm
  EXPECT_EQ(raft_.applied(), 1);
}

TEST_F(MisuseDeathTest, ALogThatDoesNotHoldWhatItWasHanded) {
  EXPECT_DEATH(
      {
        raft_.Campaign();
        raft_.Persisted(raft_.TakeReady().id);
        while (raft_.HasReady()) raft_.Persisted(raft_.TakeReady().id);  // entries dropped
      },
      "reading committed entries from 1");
}

TEST_F(MisuseDeathTest, AConfigurationThatCannotWork) {
  const auto make = [this](Config config) { Raft(config, &log_, {}, {.voters = {1}}, 0); };
  Config config = Good();
  config.id = kNoNode;
  EXPECT_DEATH(make(config), "a member needs an id");
  config = Good();
  config.random = nullptr;
  EXPECT_DEATH(make(config), "a source of randomness is required");
  config = Good();
  config.heartbeat_ticks = 0;
  EXPECT_DEATH(make(config), "election_ticks=10 heartbeat_ticks=0");
  config = Good();
  config.heartbeat_ticks = config.election_ticks;
  EXPECT_DEATH(make(config), "election_ticks=10 heartbeat_ticks=10");
  config = Good();
  config.max_inflight_messages = 0;
  EXPECT_DEATH(make(config), "max_inflight_messages");
  config = Good();
  config.lease_reads = true;
  config.check_quorum = false;
  EXPECT_DEATH(make(config), "lease_reads need check_quorum");
}

TEST_F(MisuseDeathTest, AStartFromWhatDoesNotFitTogether) {
  EXPECT_DEATH(Raft(Good(), &log_, {.term = 1, .commit = 5}, {.voters = {1}}, 0),
               "commit=5 last=0");
  EXPECT_DEATH(Raft(Good(), &log_, {}, {.voters = {2, 1}}, 0), "members are not sorted");
  EXPECT_DEATH(Raft(Good(), &log_, {}, {.learners = {1}}, 0), "no voters");
  MemoryLog compacted;
  compacted.Append({At(1, 1), At(2, 1), At(3, 1)});
  compacted.SetSnapshot({3, 1, {.voters = {1}}});
  compacted.Compact(3);
  EXPECT_DEATH(Raft(Good(), &compacted, {.term = 1, .commit = 3}, {.voters = {1}}, 1),
               "entries between applied=1 and the first one in the log, 4, are missing");
}

TEST_F(MisuseDeathTest, WhatIsOnlyAMistakeOfTheCallerIsAnError) {
  Lead();
  EXPECT_TRUE(absl::IsInvalidArgument(raft_.ReadIndex(0)));
  EXPECT_TRUE(absl::IsInvalidArgument(raft_.Propose(Payload())));
  EXPECT_TRUE(absl::IsFailedPrecondition(raft_.TransferLeadership(9)));
  EXPECT_TRUE(absl::IsInvalidArgument(raft_.ProposeConfChange(
      {.changes = {{ConfChangeSingle::Type::kRemove, 1}}})));  // would leave no voter
  raft_.ReportUnreachable(9);
  raft_.ReportSnapshot(9, SnapshotStatus::kFailed);
  EXPECT_EQ(raft_.role(), Role::kLeader);
}

}  // namespace
}  // namespace keel::raft::testing
