#include "raft/log/log.h"

#include <gtest/gtest.h>

#include "raft/log/test_util.h"

namespace keel::raft {
namespace {

class LogTest : public ::testing::Test {
 protected:
  void Open() { Open(TestLog::Options(dir_.path())); }
  void Open(LogOptions options) {
    const absl::Status status = t_.Open(std::move(options));
    ASSERT_TRUE(status.ok()) << status;
  }
  std::vector<std::string> Segments() {
    std::vector<std::string> out;
    for (const auto& item : std::filesystem::directory_iterator(dir_.path())) {
      if (item.path().extension() == ".seg") out.push_back(item.path().filename());
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  TempDir dir_{"log_test"};
  TestLog t_;
};

TEST_F(LogTest, FreshLogIsEmptyAndKeepsTheInitialConf) {
  Open();
  EXPECT_EQ(t_.log->FirstIndex(), 1u);
  EXPECT_EQ(t_.log->LastIndex(), 0u);
  EXPECT_EQ(*t_.log->TermAt(0), 0u);
  EXPECT_EQ(t_.log->hard_state(), HardState{});
  LogOptions other = TestLog::Options(dir_.path());
  other.initial_conf.voters = {9};
  Open(other);
  EXPECT_EQ(t_.log->initial_conf().voters, (std::vector<NodeId>{0xa1, 0xa2, 0xa3}));
}

TEST_F(LogTest, AppendedEntriesAreReadAtOnceAndAfterReopen) {
  Open();
  const auto entries = MakeEntries(1, 20, 3);
  LogWrite write;
  write.entries = entries;
  write.hard_state = HardState{3, 2, 7};
  t_.log->Append(std::move(write), nullptr);
  ExpectSame(t_.All(), entries);  // Before anything ran.
  t_.loop.RunUntilIdle();
  Open();
  ExpectSame(t_.All(), entries);
  EXPECT_EQ(t_.log->hard_state(), (HardState{3, 2, 7}));
  EXPECT_EQ(*t_.log->TermAt(20), 3u);
  EXPECT_EQ(t_.log->TermAt(21).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(LogTest, EntriesStopsAtTheByteLimitButReturnsOne) {
  Open();
  ASSERT_TRUE(t_.Append(MakeEntries(1, 10, 1, 100)));
  EXPECT_EQ(t_.log->Entries(1, 11, 0)->size(), 1u);
  EXPECT_EQ(t_.log->Entries(1, 11, 250)->size(), 2u);
  EXPECT_EQ(t_.log->Entries(3, 5, UINT64_MAX)->size(), 2u);
}

TEST_F(LogTest, ConflictingSuffixIsReplaced) {
  Open();
  ASSERT_TRUE(t_.Append(MakeEntries(1, 10, 1)));
  ASSERT_TRUE(t_.Append(MakeEntries(6, 7, 2)));
  auto want = MakeEntries(1, 5, 1);
  for (const Entry& e : MakeEntries(6, 7, 2)) want.push_back(e);
  ExpectSame(t_.All(), want);
  Open();
  ExpectSame(t_.All(), want);
  EXPECT_EQ(t_.log->LastIndex(), 7u);
}

TEST_F(LogTest, OldEntriesAreReadFromDisk) {
  LogOptions options = TestLog::Options(dir_.path());
  options.memory_bytes = 1000;
  Open(options);
  std::vector<Entry> want;
  for (Index i = 1; i <= 3000; i += 100) {
    auto some = MakeEntries(i, i + 99, 1, 1200);
    ASSERT_TRUE(t_.Append(some));
    want.insert(want.end(), some.begin(), some.end());
  }
  EXPECT_GT(Segments().size(), 2u);
  ExpectSame(t_.All(), want);
  Open(options);
  ExpectSame(t_.All(), want);
}

TEST_F(LogTest, EntryLargerThanASegmentIsKept) {
  Open();
  ASSERT_TRUE(t_.Append(MakeEntries(1, 1, 1)));
  const auto big = MakeEntries(2, 2, 1, 3 << 20);
  ASSERT_TRUE(t_.Append(big));
  ASSERT_TRUE(t_.Append(MakeEntries(3, 3, 1)));
  Open();
  EXPECT_EQ(t_.log->LastIndex(), 3u);
  EXPECT_TRUE(Same(t_.log->Entries(2, 3, UINT64_MAX)->front(), big[0]));
}

TEST_F(LogTest, TruncationFreesSegmentsAndSurvivesReopen) {
  Open();
  ASSERT_TRUE(t_.Append(MakeEntries(1, 1000, 1, 5000), HardState{1, 1, 900}));
  const size_t before = Segments().size();
  ASSERT_GT(before, 4u);
  t_.log->Truncate(900);
  t_.loop.RunUntilIdle();
  EXPECT_LT(Segments().size(), 4u);
  EXPECT_EQ(t_.log->FirstIndex(), 901u);
  EXPECT_EQ(*t_.log->TermAt(900), 1u);
  EXPECT_EQ(t_.log->TermAt(899).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(t_.log->Entries(900, 901, 1).status().code(), absl::StatusCode::kOutOfRange);
  const auto want = MakeEntries(901, 1000, 1, 5000);
  ExpectSame(t_.All(), want);
  Open();
  EXPECT_EQ(t_.log->FirstIndex(), 901u);
  EXPECT_EQ(*t_.log->TermAt(900), 1u);
  EXPECT_EQ(t_.log->hard_state(), (HardState{1, 1, 900}));
  EXPECT_EQ(t_.log->initial_conf().voters.size(), 3u);
  ExpectSame(t_.All(), want);
}

TEST_F(LogTest, IndexWithinCountsBytesFromTheEnd) {
  Open();
  EXPECT_EQ(t_.log->IndexWithin(0), 0u);
  ASSERT_TRUE(t_.Append(MakeEntries(1, 10, 1, 960)));  // 1000 bytes each on disk
  EXPECT_EQ(t_.log->IndexWithin(0), 10u);
  EXPECT_EQ(t_.log->IndexWithin(999), 10u);
  EXPECT_EQ(t_.log->IndexWithin(3500), 7u);
  EXPECT_EQ(t_.log->IndexWithin(1 << 20), 0u);
}

TEST_F(LogTest, RecycledSegmentsNeverBringBackTheirFormerLife) {
  Open();
  Index next = 1;
  for (int round = 0; round < 30; ++round) {
    ASSERT_TRUE(t_.Append(MakeEntries(next, next + 99, 1, 5000)));
    next += 100;
    if (round % 2 == 1) {
      t_.log->Truncate(next - 50);
      t_.loop.RunUntilIdle();
      Open();
      ExpectSame(t_.All(), MakeEntries(next - 49, next - 1, 1, 5000));
    }
  }
  EXPECT_LT(Segments().size(), 5u);
}

TEST_F(LogTest, ResetStartsAfterASnapshot) {
  Open();
  ASSERT_TRUE(t_.Append(MakeEntries(1, 10, 1)));
  LogWrite write;
  write.reset = LogPoint{500, 4};
  write.hard_state = HardState{4, 0, 500};
  t_.log->Append(std::move(write), nullptr);
  EXPECT_EQ(t_.log->FirstIndex(), 501u);
  ASSERT_TRUE(t_.Append(MakeEntries(501, 503, 4)));
  Open();
  EXPECT_EQ(t_.log->FirstIndex(), 501u);
  EXPECT_EQ(*t_.log->TermAt(500), 4u);
  ExpectSame(t_.All(), MakeEntries(501, 503, 4));
  EXPECT_EQ(t_.log->hard_state(), (HardState{4, 0, 500}));
}

TEST_F(LogTest, CommitAloneIsNotWrittenUntilSomethingElseIs) {
  Open();
  ASSERT_TRUE(t_.Append(MakeEntries(1, 5, 1), HardState{1, 1, 0}));
  LogWrite write;
  write.hard_state = HardState{1, 1, 5};
  write.must_sync = false;
  bool durable = false;
  t_.log->Append(std::move(write), [&] { durable = true; });
  t_.loop.RunUntilIdle();
  EXPECT_TRUE(durable);
  Open();
  EXPECT_EQ(t_.log->hard_state().commit, 0u);

  write = {};
  write.hard_state = HardState{1, 1, 5};
  write.must_sync = false;
  t_.log->Append(std::move(write), nullptr);
  ASSERT_TRUE(t_.Append(MakeEntries(6, 6, 1)));
  Open();
  EXPECT_EQ(t_.log->hard_state().commit, 5u);
}

TEST_F(LogTest, LogOfAnotherMemberOrClusterIsRefused) {
  Open();
  t_.log.reset();
  LogOptions options = TestLog::Options(dir_.path());
  options.member_id = 0xa2;
  absl::Status status = t_.Open(options);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(base::ToStd(status.message()).find("belongs to member a1 of cluster c1"),
            std::string::npos)
      << status;
  options = TestLog::Options(dir_.path());
  options.cluster_id = 0xc2;
  EXPECT_EQ(t_.Open(options).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(LogTest, LogHeldByAnotherIsRefused) {
  Open();
  TestLog second;
  const absl::Status status = second.Open(TestLog::Options(dir_.path()));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(base::ToStd(status.message()).find(dir_.path()), std::string::npos);
}

TEST_F(LogTest, InterruptedFirstStartIsStartedOver) {
  Open();
  t_.log.reset();
  std::filesystem::remove(IdentityPath(dir_.path()));
  for (const std::string& name : Segments()) {
    if (name != "0000000000000001.seg") std::filesystem::remove(dir_.path() + "/" + name);
  }
  Open();
  EXPECT_EQ(t_.log->LastIndex(), 0u);
}

TEST_F(LogTest, FailedSyncIsReportedAndNeverRetried) {
  FailingFileSystem fs;
  LogOptions options = TestLog::Options(dir_.path());
  options.fs = &fs;
  Open(options);
  ASSERT_TRUE(t_.Append(MakeEntries(1, 5, 1)));
  fs.fail_sync = true;
  EXPECT_FALSE(t_.Append(MakeEntries(6, 6, 1)));
  EXPECT_EQ(t_.error.code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(t_.Append(MakeEntries(7, 7, 1)));
  EXPECT_EQ(fs.syncs_after_failure, 1);
}

TEST_F(LogTest, FullDiskLosesNothingThatWasAcknowledged) {
  FailingFileSystem fs;
  LogOptions options = TestLog::Options(dir_.path());
  options.fs = &fs;
  Open(options);
  ASSERT_TRUE(t_.Append(MakeEntries(1, 5, 1)));
  fs.fail_write = true;
  EXPECT_FALSE(t_.Append(MakeEntries(6, 6, 1)));
  EXPECT_EQ(t_.error.code(), absl::StatusCode::kResourceExhausted);
  fs.fail_write = false;
  Open(options);
  ExpectSame(t_.All(), MakeEntries(1, 5, 1));
}

}  // namespace
}  // namespace keel::raft
