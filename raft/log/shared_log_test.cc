#include <gtest/gtest.h>

#include "raft/log/shared_test_util.h"

namespace keel::raft {
namespace {

class SharedLogTest : public ::testing::Test {
 protected:
  SharedLogOptions Options() { return TestSharedLog::Options(dir_.path() + "/log"); }
  uint64_t SegmentFiles() {
    uint64_t count = 0;
    for (const auto& file : std::filesystem::directory_iterator(dir_.path() + "/log")) {
      count += file.path().extension() == ".seg";
    }
    return count;
  }

  TempDir dir_{"shared_log_test"};
};

TEST_F(SharedLogTest, GroupsAreReadBackApart) {
  TestSharedLog t;
  ASSERT_TRUE(t.Open(Options()).ok());
  for (Index i = 1; i <= 20; ++i) {
    for (GroupId g = 1; g <= 5; ++g) {
      ASSERT_TRUE(t.Append(g, MakeEntries(i, i, g), HardState{g, 0xa1, i - 1}));
    }
  }
  for (int reopen = 0; reopen < 3; ++reopen) {
    EXPECT_EQ(t.log->Groups(), (std::vector<GroupId>{1, 2, 3, 4, 5}));
    for (GroupId g = 1; g <= 5; ++g) {
      ExpectSame(t.All(g), MakeEntries(1, 20, g));
      EXPECT_EQ(t.Group(g).hard_state(), (HardState{g, 0xa1, 19}));
      EXPECT_EQ(t.Group(g).initial_conf().voters, std::vector<NodeId>{0xa1});
      EXPECT_EQ(*t.Group(g).TermAt(20), g);
    }
    ASSERT_TRUE(t.Open(Options()).ok());
  }
}

TEST_F(SharedLogTest, WhatQueuesUpAcrossGroupsIsOneSync) {
  TestSharedLog t;
  ASSERT_TRUE(t.Open(Options()).ok());
  int durable = 0;
  for (GroupId g = 1; g <= 100; ++g) {
    LogWrite write;
    write.entries = MakeEntries(1, 1, 1);
    t.Group(g).Append(std::move(write), [&] { ++durable; });
  }
  EXPECT_EQ(durable, 0);
  t.syncs = 0;
  t.loop.RunUntilIdle();
  EXPECT_EQ(durable, 100);
  // The 200 writes fill two small segments at most.
  EXPECT_LE(t.syncs, 3);
  EXPECT_EQ(t.log->stats().batches, 1u);
}

TEST_F(SharedLogTest, OverwriteTruncateAndResetAreTheGroupsOwn) {
  TestSharedLog t;
  ASSERT_TRUE(t.Open(Options()).ok());
  for (GroupId g = 1; g <= 4; ++g) ASSERT_TRUE(t.Append(g, MakeEntries(1, 10, 1)));
  ASSERT_TRUE(t.Append(1, MakeEntries(5, 6, 2)));
  t.Group(2).Truncate(7);
  LogWrite reset;
  reset.reset = LogPoint{50, 3};
  reset.entries = MakeEntries(51, 52, 3);
  t.Group(3).Append(std::move(reset), nullptr);
  t.loop.RunUntilIdle();
  for (int reopen = 0; reopen < 2; ++reopen) {
    auto first = MakeEntries(1, 4, 1);
    for (const Entry& e : MakeEntries(5, 6, 2)) first.push_back(e);
    ExpectSame(t.All(1), first);
    ExpectSame(t.All(2), MakeEntries(8, 10, 1));
    EXPECT_EQ(*t.Group(2).TermAt(7), 1u);
    EXPECT_EQ(t.Group(2).Entries(7, 8, 1).status().code(), absl::StatusCode::kOutOfRange);
    ExpectSame(t.All(3), MakeEntries(51, 52, 3));
    ExpectSame(t.All(4), MakeEntries(1, 10, 1));
    ASSERT_TRUE(t.Open(Options()).ok());
  }
}

TEST_F(SharedLogTest, SegmentsGoWhenNoGroupNeedsThem) {
  TestSharedLog t;
  ASSERT_TRUE(t.Open(Options()).ok());
  for (Index i = 1; i <= 400; ++i) {
    for (GroupId g = 1; g <= 3; ++g) {
      ASSERT_TRUE(t.Append(g, MakeEntries(i, i, 1, 200)));
      if (i > 10) t.Group(g).Truncate(i - 10);
    }
  }
  t.loop.RunUntilIdle();
  EXPECT_GT(t.log->stats().freed_segments, 10u);
  EXPECT_LE(SegmentFiles(), 7u);
  ASSERT_TRUE(t.Open(Options()).ok());
  for (GroupId g = 1; g <= 3; ++g) ExpectSame(t.All(g), MakeEntries(391, 400, 1, 200));
}

TEST_F(SharedLogTest, LaggingGroupsHoldUpNobody) {
  TestSharedLog t;
  ASSERT_TRUE(t.Open(Options()).ok());
  // One sleeps with one entry, one with many; neither ever truncates.
  ASSERT_TRUE(t.Append(1, MakeEntries(1, 1, 4), HardState{4, 0xa1, 1}));
  ASSERT_TRUE(t.Append(2, MakeEntries(1, 60, 5, 300), HardState{5, 0xa1, 60}));
  for (Index i = 1; i <= 2000; ++i) {
    ASSERT_TRUE(t.Append(3, MakeEntries(i, i, 1, 200)));
    if (i > 10) t.Group(3).Truncate(i - 10);
  }
  t.loop.RunUntilIdle();
  const SharedLogStats stats = t.log->stats();
  EXPECT_GT(stats.moved_bytes, 0u);
  // No more is moved than was appended, and the log takes what the header says.
  EXPECT_LT(stats.moved_bytes, 2000 * 250);
  EXPECT_LE(stats.log_bytes, 2 * stats.live_bytes + (SharedLog::kSlackSegments + 1) * (16 << 10));
  EXPECT_LE(SegmentFiles(), 11u);
  for (int reopen = 0; reopen < 2; ++reopen) {
    ExpectSame(t.All(1), MakeEntries(1, 1, 4));
    EXPECT_EQ(t.Group(1).hard_state(), (HardState{4, 0xa1, 1}));
    ExpectSame(t.All(2), MakeEntries(1, 60, 5, 300));
    EXPECT_EQ(t.Group(2).hard_state(), (HardState{5, 0xa1, 60}));
    ExpectSame(t.All(3), MakeEntries(1991, 2000, 1, 200));
    ASSERT_TRUE(t.Open(Options()).ok());
  }
}

TEST_F(SharedLogTest, RemovedGroupIsGoneAndMayComeBackEmpty) {
  TestSharedLog t;
  ASSERT_TRUE(t.Open(Options()).ok());
  ASSERT_TRUE(t.Append(1, MakeEntries(1, 10, 1), HardState{7, 0xa1, 5}));
  ASSERT_TRUE(t.Append(2, MakeEntries(1, 10, 1)));
  EXPECT_EQ(t.log->RemoveGroup(1, nullptr).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(t.log->RemoveGroup(9, nullptr).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(t.log->OpenGroup(1, {}).status().code(), absl::StatusCode::kAlreadyExists);
  t.groups.erase(1);
  bool done = false;
  ASSERT_TRUE(t.log->RemoveGroup(1, [&] { done = true; }).ok());
  EXPECT_FALSE(t.log->Contains(1));
  t.loop.RunUntilIdle();
  EXPECT_TRUE(done);
  ASSERT_TRUE(t.Open(Options()).ok());
  EXPECT_EQ(t.log->Groups(), std::vector<GroupId>{2});
  EXPECT_EQ(t.Group(1).LastIndex(), 0u);
  EXPECT_EQ(t.Group(1).hard_state(), HardState{});
  ASSERT_TRUE(t.Append(1, MakeEntries(1, 2, 9)));
  ASSERT_TRUE(t.Open(Options()).ok());
  ExpectSame(t.All(1), MakeEntries(1, 2, 9));
  ExpectSame(t.All(2), MakeEntries(1, 10, 1));
}

TEST_F(SharedLogTest, ClosedHandleIsNotCalledBack) {
  TestSharedLog t;
  ASSERT_TRUE(t.Open(Options()).ok());
  bool called = false;
  LogWrite write;
  write.entries = MakeEntries(1, 3, 1);
  t.Group(1).Append(std::move(write), [&] { called = true; });
  t.groups.erase(1);
  ExpectSame(t.All(1), MakeEntries(1, 3, 1));  // What was appended is there nevertheless.
  t.loop.RunUntilIdle();
  EXPECT_FALSE(called);
  ExpectSame(t.All(1), MakeEntries(1, 3, 1));
}

TEST_F(SharedLogTest, CommitAloneIsNoWriteButComesAlong) {
  TestSharedLog t;
  ASSERT_TRUE(t.Open(Options()).ok());
  ASSERT_TRUE(t.Append(1, MakeEntries(1, 5, 1), HardState{1, 0xa1, 0}));
  t.syncs = 0;
  LogWrite commit;
  commit.hard_state = HardState{1, 0xa1, 5};
  commit.must_sync = false;
  bool called = false;
  t.Group(1).Append(std::move(commit), [&] { called = true; });
  EXPECT_TRUE(called);
  t.loop.RunUntilIdle();
  EXPECT_EQ(t.syncs, 0);
  ASSERT_TRUE(t.Append(1, MakeEntries(6, 6, 1)));
  ASSERT_TRUE(t.Open(Options()).ok());
  EXPECT_EQ(t.Group(1).hard_state(), (HardState{1, 0xa1, 5}));
}

TEST_F(SharedLogTest, MemoryIsBoundedAcrossGroups) {
  SharedLogOptions options = Options();
  options.memory_bytes = 20 << 10;
  TestSharedLog t;
  ASSERT_TRUE(t.Open(options).ok());
  for (GroupId g = 1; g <= 50; ++g) ASSERT_TRUE(t.Append(g, MakeEntries(1, 10, 1, 100)));
  EXPECT_LE(t.log->stats().cached_bytes, 20u << 10);
  EXPECT_GT(t.log->stats().cached_bytes, 10u << 10);
  for (GroupId g = 1; g <= 50; ++g) ExpectSame(t.All(g), MakeEntries(1, 10, 1, 100));
}

TEST_F(SharedLogTest, LogsOfTheOtherFormatAreRefusedByName) {
  {
    TestSharedLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
  }
  TestLog single;
  absl::Status status = single.Open(TestLog::Options(dir_.path() + "/log"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(status.ToString().find("format 2 instead of 1"), std::string::npos) << status;
  ASSERT_TRUE(single.Open(TestLog::Options(dir_.path() + "/single")).ok());
  single.log.reset();
  TestSharedLog t;
  status = t.Open(TestSharedLog::Options(dir_.path() + "/single"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_NE(status.ToString().find("format 1 instead of 2"), std::string::npos) << status;
}

}  // namespace
}  // namespace keel::raft
