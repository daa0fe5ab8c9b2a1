// What the core takes from a log of the user's: one that offers no more than it
// must, one that cannot be read for a while, and one that breaks its duty.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/core/memory_log.h"
#include "raft/core/queue.h"
#include "raft/core/raft.h"

namespace keel::raft {
namespace {

// Overrides what is pure only; ReadEntries stays the default.
class PlainLog final : public LogView {
 public:
  Index FirstIndex() const override { return held.FirstIndex(); }
  Index LastIndex() const override { return held.LastIndex(); }
  absl::StatusOr<Term> TermAt(Index index) const override { return held.TermAt(index); }
  absl::StatusOr<std::vector<Entry>> Entries(Index low, Index high,
                                             uint64_t max_bytes) const override {
    if (!readable) return absl::UnavailableError("the disk is busy");
    return held.Entries(low, high, max_bytes);
  }
  absl::StatusOr<SnapshotMeta> Snapshot() const override { return held.Snapshot(); }

  MemoryLog held;
  bool readable = true;
};

class LogViewTest : public testing::Test {
 protected:
  LogViewTest() {
    Config config;
    config.id = 1;
    config.pre_vote = false;
    config.random = [](uint64_t) { return 0; };
    raft_ = std::make_unique<Raft>(config, &log_, HardState{}, ConfState{.voters = {1, 2}}, 0);
    raft_->Campaign();
    Process();
    Answer(MessageType::kVoteResponse, 0);
    Process();
  }

  // Takes all Readys, all of them durable at once; the messages of kAppend to 2.
  std::vector<Message> Process() {
    std::vector<Message> appends;
    while (raft_->HasReady()) {
      Ready ready = raft_->TakeReady();
      log_.held.Append(ready.entries);
      raft_->Persisted(ready.id);
      if (!ready.committed.empty()) raft_->Applied(ready.committed.back().index);
      for (Message& m : ready.messages) {
        if (m.type == MessageType::kAppend) appends.push_back(std::move(m));
      }
    }
    return appends;
  }

  void Answer(MessageType type, Index index) {
    Message m;
    m.type = type;
    m.from = 2;
    m.to = 1;
    m.term = raft_->term();
    m.index = index;
    ASSERT_TRUE(raft_->Step(m).ok());
  }

  PlainLog log_;
  std::unique_ptr<Raft> raft_;
};

TEST_F(LogViewTest, EntriesAloneSuffice) {
  EXPECT_EQ(raft_->id(), 1u);
  ASSERT_EQ(raft_->role(), Role::kLeader);
  Answer(MessageType::kAppendResponse, 1);
  Process();
  ASSERT_TRUE(raft_->Propose(std::make_shared<const std::string>("a")).ok());
  ASSERT_TRUE(raft_->Propose(std::make_shared<const std::string>("b")).ok());
  const std::vector<Message> appends = Process();
  ASSERT_EQ(appends.size(), 1u);
  EXPECT_EQ(appends[0].entries.size(), 2u);
  Answer(MessageType::kAppendResponse, 3);
  Process();
  EXPECT_EQ(raft_->applied(), 3u);
  EXPECT_EQ(log_.Entries(1, 4, 1 << 20)->size(), 3u);
  EXPECT_TRUE(absl::IsOutOfRange(log_.Entries(1, 5, 1 << 20).status()));
}

TEST_F(LogViewTest, WhatCannotBeReadNowIsSentWhenAHeartbeatIsAnswered) {
  Answer(MessageType::kAppendResponse, 1);
  Process();
  ASSERT_TRUE(raft_->Propose(std::make_shared<const std::string>("a")).ok());
  EXPECT_EQ(Process().size(), 1u);
  raft_->ReportUnreachable(2);  // so it is sent again
  log_.readable = false;
  EXPECT_THAT(Process(), testing::IsEmpty());
  log_.readable = true;
  EXPECT_THAT(Process(), testing::IsEmpty()) << "not before it is asked for again";
  Answer(MessageType::kHeartbeatResponse, 1);
  const std::vector<Message> appends = Process();
  ASSERT_EQ(appends.size(), 1u);
  EXPECT_EQ(appends[0].index, 1u);
  EXPECT_EQ(appends[0].entries.size(), 1u);
}

TEST_F(LogViewTest, RefusedMessagesAreCounted) {
  EXPECT_EQ(raft_->GetStatus().refused_messages, 0u);
  Message m;
  m.type = MessageType::kHeartbeat;
  m.from = 7;
  m.to = 2;
  m.term = 1;
  EXPECT_TRUE(absl::IsInvalidArgument(raft_->Step(m)));
  EXPECT_EQ(raft_->GetStatus().refused_messages, 1u);
}

using LogViewDeathTest = LogViewTest;

TEST_F(LogViewDeathTest, ALogThatDropsWhatItWasGivenStopsTheProcess) {
  Answer(MessageType::kAppendResponse, 1);
  Process();
  ASSERT_TRUE(raft_->Propose(std::make_shared<const std::string>("a")).ok());
  (void)raft_->TakeReady();  // and its entries are forgotten
  ASSERT_TRUE(raft_->Propose(std::make_shared<const std::string>("b")).ok());
  EXPECT_DEATH(
      {
        while (raft_->HasReady()) (void)raft_->TakeReady();
      },
      "");
}

TEST(QueueTest, KeepsTheOrderWhateverItsMemoryDoes) {
  Queue<int> queue;
  int pushed = 0, popped = 0;
  for (int round = 1; round < 60; ++round) {
    for (int i = 0; i < round % 7; ++i) queue.push_back(pushed++);
    for (int i = 0; i < round % 5 && !queue.empty(); ++i) {
      ASSERT_EQ(queue.front(), popped++);
      queue.pop_front();
    }
    int expected = popped;
    for (int value : queue) ASSERT_EQ(value, expected++);
    ASSERT_EQ(expected, pushed);
  }
}

}  // namespace
}  // namespace keel::raft
