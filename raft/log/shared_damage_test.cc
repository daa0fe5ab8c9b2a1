// Crashes that tear the last write of a shared log, and damage anywhere.
#include <gtest/gtest.h>

#include <fstream>

#include "raft/log/segment_reader.h"
#include "raft/log/shared_test_util.h"

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

class SharedDamageTest : public ::testing::Test {
 protected:
  SharedLogOptions Options() { return TestSharedLog::Options(dir_.path() + "/log"); }
  std::string Segment(uint64_t sequence) { return SegmentPath(dir_.path() + "/log", sequence); }
  void Save() {
    stdfs::copy(dir_.path() + "/log", dir_.path() + "/saved", stdfs::copy_options::recursive);
  }
  void Restore() {
    stdfs::remove_all(dir_.path() + "/log");
    stdfs::copy(dir_.path() + "/saved", dir_.path() + "/log", stdfs::copy_options::recursive);
  }

  TempDir dir_{"shared_damage_test"};
};

TEST_F(SharedDamageTest, TailTornAtEveryByteKeepsWhatWasDurable) {
  std::string before, after;
  {
    TestSharedLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
    for (GroupId g = 1; g <= 2; ++g)
      ASSERT_TRUE(t.Append(g, MakeEntries(1, 3, 1), HardState{1, 1, 2}));
    before = Slurp(Segment(1));
    for (GroupId g = 1; g <= 2; ++g) {
      LogWrite write;
      write.hard_state = HardState{2, 1, 3};
      write.entries = MakeEntries(4, 5, 2, 40);
      t.Group(g).Append(std::move(write), nullptr);
    }
    t.Group(3);  // A group created in the batch that is torn.
    t.loop.RunUntilIdle();
    after = Slurp(Segment(1));
  }
  Save();
  size_t first = 0, last = after.size();
  while (before[first] == after[first]) ++first;
  while (before[last - 1] == after[last - 1]) --last;
  auto want = MakeEntries(1, 3, 1);
  for (const Entry& e : MakeEntries(4, 5, 2, 40)) want.push_back(e);
  for (size_t cut = first; cut < last; ++cut) {
    Restore();
    Spill(Segment(1), after.substr(0, cut) + before.substr(cut));
    TestSharedLog t;
    const absl::Status status = t.Open(Options());
    ASSERT_TRUE(status.ok()) << cut << " " << status;
    EXPECT_FALSE(t.log->Contains(3)) << cut;
    for (GroupId g = 1; g <= 2; ++g) {
      const auto got = t.All(g);
      ASSERT_GE(got.size(), 3u) << cut;
      ExpectSame(got, {want.begin(), want.begin() + static_cast<long>(got.size())});
      ASSERT_GE(t.Group(g).hard_state().term, got.back().term) << cut;
      const Index next = t.Group(g).LastIndex() + 1;
      ASSERT_TRUE(t.Append(g, MakeEntries(next, next + 1, 3)));
    }
    const auto kept = t.All(1);
    ASSERT_TRUE(t.Open(Options()).ok()) << cut;
    ExpectSame(t.All(1), kept);
  }
}

TEST_F(SharedDamageTest, FlippedBitIsFoundOrCutOffNeverBelieved) {
  {
    TestSharedLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
    for (Index i = 1; i <= 6; ++i) {
      for (GroupId g = 1; g <= 2; ++g) ASSERT_TRUE(t.Append(g, MakeEntries(i, i, 1, 30)));
    }
  }
  Save();
  const std::string whole = Slurp(Segment(1));
  size_t end = whole.size();
  while (whole[end - 1] == 0) --end;
  int found = 0;
  for (size_t at = 0; at < end; ++at) {
    Restore();
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    Spill(Segment(1), bad);
    TestSharedLog t;
    const absl::Status status = t.Open(Options());
    if (!status.ok()) {
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << at << " " << status;
      EXPECT_NE(status.ToString().find("0000000000000001.seg at offset"), std::string::npos);
      EXPECT_EQ(Slurp(Segment(1)), bad) << "nothing is changed";
      ++found;
      continue;
    }
    // Padding, or in the very last batch.
    const auto want = MakeEntries(1, 6, 1, 30);
    ExpectSame(t.All(1), want);
    const auto got = t.All(2);
    ASSERT_GE(got.size(), 5u) << at;
    ExpectSame(got, {want.begin(), want.begin() + static_cast<long>(got.size())});
  }
  EXPECT_GT(found, static_cast<int>(end / 2));
}

TEST_F(SharedDamageTest, MissingSegmentsAreNamed) {
  uint64_t oldest = 0, newest = 0;
  {
    TestSharedLog t;
    ASSERT_TRUE(t.Open(Options()).ok());
    ASSERT_TRUE(t.Append(1, MakeEntries(1, 1, 1)));
    for (Index i = 1; i <= 1000; ++i) {
      ASSERT_TRUE(t.Append(2, MakeEntries(i, i, 1, 200)));
      if (i > 10) t.Group(2).Truncate(i - 10);
    }
    t.loop.RunUntilIdle();
  }
  for (const auto& file : stdfs::directory_iterator(dir_.path() + "/log")) {
    if (file.path().extension() != ".seg") continue;
    const uint64_t sequence = std::stoull(file.path().stem().string(), nullptr, 16);
    oldest = oldest == 0 ? sequence : std::min(oldest, sequence);
    newest = std::max(newest, sequence);
  }
  ASSERT_GT(oldest, 1u);
  ASSERT_GT(newest, oldest + 2);
  Save();
  for (const uint64_t gone : {oldest, oldest + 1}) {
    Restore();
    stdfs::remove(Segment(gone));
    TestSharedLog t;
    const absl::Status status = t.Open(Options());
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << gone << " " << status;
  }
}

}  // namespace
}  // namespace keel::raft
