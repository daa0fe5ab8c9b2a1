// Crashes that tear the last write, and damage anywhere.
#include <gtest/gtest.h>

#include <fstream>

#include "raft/log/test_util.h"

namespace keel::raft {
namespace {

namespace stdfs = std::filesystem;

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void Spill(const std::string& path, const std::string& data) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << data;
}

class LogDamageTest : public ::testing::Test {
 protected:
  LogOptions Options() {
    LogOptions options = TestLog::Options(dir_.path() + "/log");
    options.segment_bytes = 16 << 10;
    return options;
  }
  std::string Segment(uint64_t sequence) { return SegmentPath(dir_.path() + "/log", sequence); }
  void Save() {
    stdfs::copy(dir_.path() + "/log", dir_.path() + "/saved", stdfs::copy_options::recursive);
  }
  void Restore() {
    stdfs::remove_all(dir_.path() + "/log");
    stdfs::copy(dir_.path() + "/saved", dir_.path() + "/log", stdfs::copy_options::recursive);
  }

  TempDir dir_{"log_damage_test"};
};

TEST_F(LogDamageTest, TailTornAtEveryByteIsCutAndTheLogGoesOn) {
  std::string before, after;
  {
    TestLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
    ASSERT_TRUE(t.Append(MakeEntries(1, 3, 1), HardState{1, 1, 2}));
    before = Slurp(Segment(1));
    ASSERT_TRUE(t.Append(MakeEntries(4, 5, 2, 60), HardState{2, 1, 3}));
    after = Slurp(Segment(1));
  }
  Save();
  size_t first = 0, last = after.size();
  while (before[first] == after[first]) ++first;
  while (before[last - 1] == after[last - 1]) --last;
  auto want = MakeEntries(1, 3, 1);
  for (const Entry& e : MakeEntries(4, 5, 2, 60)) want.push_back(e);
  for (size_t cut = first; cut < last; ++cut) {
    Restore();
    Spill(Segment(1), after.substr(0, cut) + before.substr(cut));
    for (int reopen = 0; reopen < 2; ++reopen) {
      TestLog t;
      const absl::Status status = t.Open(Options());
      ASSERT_TRUE(status.ok()) << cut << " " << status;
      const auto got = t.All();
      ASSERT_GE(got.size(), 3u) << cut;
      ASSERT_LT(got.size(), 5u) << cut;
      ExpectSame(got, {want.begin(), want.begin() + static_cast<long>(got.size())});
      ASSERT_GE(t.log->hard_state().term, got.back().term) << cut;
    }
    TestLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
    const Index next = t.log->LastIndex() + 1;
    ASSERT_TRUE(t.Append(MakeEntries(next, next, 3)));
    ASSERT_TRUE(t.Append(MakeEntries(next + 1, next + 1, 3)));
    const auto kept = t.All();
    ASSERT_TRUE(t.Open(Options()).ok()) << cut;
    ExpectSame(t.All(), kept);
  }
}

// A disk may write the sectors of one batch in any order.
TEST_F(LogDamageTest, HoleInTheLastBatchIsATornTail) {
  std::string before, after;
  {
    TestLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
    ASSERT_TRUE(t.Append(MakeEntries(1, 3, 1)));
    before = Slurp(Segment(1));
    ASSERT_TRUE(t.Append(MakeEntries(4, 8, 1, 700)));
    after = Slurp(Segment(1));
  }
  Save();
  for (size_t hole = 512; hole < 4096; hole += 512) {
    if (before.substr(hole, 512) == after.substr(hole, 512)) continue;
    Restore();
    std::string torn = after;
    torn.replace(hole, 512, before.substr(hole, 512));
    Spill(Segment(1), torn);
    TestLog t;
    const absl::Status status = t.Open(Options());
    ASSERT_TRUE(status.ok()) << hole << " " << status;
    const Index last = t.log->LastIndex();
    ASSERT_GE(last, 3u);
    ASSERT_LT(last, 8u);
    // What is cut stays cut, whatever is appended over it.
    ASSERT_TRUE(t.Append(MakeEntries(last + 1, last + 1, 2)));
    ASSERT_TRUE(t.Open(Options()).ok());
    EXPECT_EQ(t.log->LastIndex(), last + 1);
    EXPECT_EQ(*t.log->TermAt(last + 1), 2u);
  }
}

// Records behind the cut must not join those that are written before them later. Opening moves the
// last segment to a file of its own, without them; not so when the disk is full.
TEST_F(LogDamageTest, WhatLiesBehindATornWriteIsWiped) {
  std::string before, after;
  {
    TestLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
    ASSERT_TRUE(t.Append(MakeEntries(1, 3, 1)));
    before = Slurp(Segment(1));
    ASSERT_TRUE(t.Append(MakeEntries(4, 5, 1, 700)));
    after = Slurp(Segment(1));
  }
  // The first entry of the last batch did not reach the disk, the second one did.
  size_t first = 0;
  while (before[first] == after[first]) ++first;
  std::string torn = after;
  torn.replace(first, 512, before.substr(first, 512));
  Spill(Segment(1), torn);
  FailingFileSystem fs;
  fs.fail_create = true;
  LogOptions options = Options();
  options.fs = &fs;
  TestLog t;
  ASSERT_TRUE(t.Open(options).ok());
  ASSERT_EQ(t.log->LastIndex(), 3u);
  // Another write of the first one's size ends where the second one begins.
  ASSERT_TRUE(t.Append(MakeEntries(4, 4, 2, 700)));
  const absl::Status status = t.Open(options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(t.log->LastIndex(), 4u);
  EXPECT_EQ(*t.log->TermAt(4), 2u);
}

// One flipped bit anywhere: the member stops, or loses no more than the last
// batch; a wrong entry never comes out.
TEST_F(LogDamageTest, FlippedBitIsFoundOrCutOffNeverBelieved) {
  std::vector<Entry> want;
  {
    TestLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
    for (Index i = 1; i <= 60; ++i) {
      auto some = MakeEntries(i, i, 1, 700);
      ASSERT_TRUE(t.Append(some, HardState{1, 1, i - 1}));
      want.push_back(some[0]);
    }
  }
  ASSERT_TRUE(stdfs::exists(Segment(3)));
  Save();
  int stopped = 0, cut = 0, harmless = 0;
  for (uint64_t sequence = 1; sequence <= 3; ++sequence) {
    const std::string path = Segment(sequence);
    const std::string good = Slurp(path);
    for (size_t at = 0; at < good.size(); at += sequence == 1 && at < 200 ? 1 : 41) {
      Restore();
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
      Spill(path, bad);
      TestLog t;
      const absl::Status status = t.Open(Options());
      if (!status.ok()) {
        ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
        ASSERT_NE(base::ToStd(status.message()).find("/log/"), std::string::npos) << status;
        ASSERT_NE(base::ToStd(status.message()).find("at offset"), std::string::npos) << status;
        ++stopped;
        continue;
      }
      const auto got = t.All();
      ASSERT_GE(got.size(), want.size() - 1) << path << " " << at;
      ExpectSame(got, {want.begin(), want.begin() + static_cast<long>(got.size())});
      got.size() < want.size() ? ++cut : ++harmless;
    }
  }
  EXPECT_GT(stopped, 100);
  EXPECT_GT(harmless, 0);
  EXPECT_GT(cut, 0);
}

// A log is read a megabyte at a time (read_window.h): nothing may hide behind a hole larger than
// that, nor where two such parts meet.
TEST_F(LogDamageTest, HolesOfAnySizeAreFound) {
  LogOptions options = Options();
  options.segment_bytes = 4 << 20;
  std::vector<Entry> want;
  {
    TestLog t;
    ASSERT_TRUE(t.Open(options).ok());
    for (Index i = 1; i <= 13; ++i) {
      want.push_back(MakeEntries(i, i, 1, i == 7 ? 1'200'000 : 200'000)[0]);
      ASSERT_TRUE(t.Append({want.back()}));
    }
  }
  const std::string good = Slurp(Segment(1));
  ASSERT_EQ(good.size(), options.segment_bytes);
  const auto begin_of = [&](Index index) {
    const size_t data = good.find(base::StrCat(index, "@1:"));
    return data - kEntryFixedBytes - kRecordHeaderBytes;
  };
  Save();
  for (Index first = 1; first <= 12; ++first) {
    for (Index next = first + 1; next <= 13; ++next) {  // the first that is intact again
      Restore();
      std::string bad = good;
      std::fill(bad.begin() + static_cast<long>(begin_of(first)),
                bad.begin() + static_cast<long>(begin_of(next)), '\0');
      Spill(Segment(1), bad);
      TestLog t;
      const absl::Status status = t.Open(options);
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << first << " " << next;
      for (const std::string& text : {base::StrCat(Segment(1), " at offset ", begin_of(first), ":"),
                                      base::StrCat("a later one at offset ", begin_of(13), " ")}) {
        ASSERT_NE(base::ToStd(status.message()).find(text), std::string::npos) << status;
      }
    }
  }
  // One byte anywhere in the last batch but one, and where two parts of the file meet.
  for (uint64_t at = begin_of(12); at < begin_of(13); at += 9973) {
    Restore();
    std::string bad = good;
    bad[at] ^= 1;
    Spill(Segment(1), bad);
    TestLog t;
    ASSERT_EQ(t.Open(options).code(), absl::StatusCode::kDataLoss) << at;
  }
  ASSERT_GT(begin_of(13), 3u << 20);
  for (uint64_t part = 1; part <= 3; ++part) {
    for (const uint64_t at : {(part << 20) - 1, part << 20}) {
      Restore();
      std::string bad = good;
      bad[at] ^= 1;
      Spill(Segment(1), bad);
      TestLog t;
      ASSERT_EQ(t.Open(options).code(), absl::StatusCode::kDataLoss) << at;
    }
  }
  // The last batch alone may be torn: it is cut, and all before it is there.
  Restore();
  std::string torn = good;
  torn[begin_of(13) + 150'000] ^= 1;
  Spill(Segment(1), torn);
  TestLog t;
  ASSERT_TRUE(t.Open(options).ok());
  want.pop_back();
  ExpectSame(t.All(), want);
}

TEST_F(LogDamageTest, MissingFilesAreDamage) {
  {
    TestLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
    for (Index i = 1; i <= 60; ++i) ASSERT_TRUE(t.Append(MakeEntries(i, i, 1, 700)));
  }
  ASSERT_TRUE(stdfs::exists(Segment(3)));
  Save();
  for (const std::string& path : {Segment(1), Segment(2), IdentityPath(dir_.path() + "/log")}) {
    Restore();
    stdfs::remove(path);
    TestLog t;
    EXPECT_EQ(t.Open(Options()).code(), absl::StatusCode::kDataLoss) << path;
  }
}

TEST_F(LogDamageTest, ClientsCannotForgeRecords) {
  // An entry whose data are the very bytes of a later record, on a log that is
  // then torn: the copy lies at another offset and must not count.
  TestLog t;
  ASSERT_TRUE(t.Open(Options()).ok());
  BatchBuilder forged(SegmentTag(0x0123456789abcdefull, 1), 64, 1000);
  forged.Add(RecordType::kHardState, EncodeHardState({99, 99, 99}));
  forged.Finish();
  std::string bytes;
  for (const auto part : forged.Parts()) bytes += part;
  std::string data;
  while (data.size() < 2000) data += bytes;
  ASSERT_TRUE(t.Append({MakeEntry(1, 1, data)}));
  t.log.reset();
  std::string segment = Slurp(Segment(1));
  segment[segment.find(bytes) - 20] ^= 1;  // The entry's header: as if torn.
  Spill(Segment(1), segment);
  ASSERT_TRUE(t.Open(Options()).ok());
  EXPECT_EQ(t.log->LastIndex(), 0u);
  EXPECT_EQ(t.log->hard_state().term, 0u);
}

TEST_F(LogDamageTest, RuntimeReadOfDamagedEntryIsAnError) {
  LogOptions options = Options();
  options.memory_bytes = 100;
  TestLog t;
  ASSERT_TRUE(t.Open(options).ok());
  ASSERT_TRUE(t.Append(MakeEntries(1, 10, 1, 700)));
  std::string segment = Slurp(Segment(1));
  segment[segment.find("1@1:") + 5] ^= 1;
  Spill(Segment(1), segment);
  EXPECT_EQ(t.log->Entries(1, 3, UINT64_MAX).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(t.log->Entries(2, 3, UINT64_MAX).ok());
}

}  // namespace
}  // namespace keel::raft
