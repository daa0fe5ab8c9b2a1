#include "raft/log/segment_pool.h"

#include <gtest/gtest.h>

#include "raft/log/test_util.h"

namespace keel::raft {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class SegmentPoolTest : public ::testing::Test {
 protected:
  std::shared_ptr<SegmentPool> Pool() {
    return std::make_shared<SegmentPool>(base::PosixFileSystem(), dir_.path(), 9 * kMiB, &loop_,
                                         &loop_);
  }
  std::string Make(const std::string& name, uint64_t bytes) {
    const std::string path = dir_.path() + "/" + name;
    EXPECT_TRUE(SegmentPool::Fill(base::PosixFileSystem(), path, bytes).ok());
    return path;
  }
  // Bytes of each file, by name.
  std::map<std::string, uint64_t> Files() {
    std::map<std::string, uint64_t> files;
    for (const auto& item : std::filesystem::directory_iterator(dir_.path())) {
      files[item.path().filename()] = item.file_size();
    }
    return files;
  }
  using Sizes = std::map<std::string, uint64_t>;

  TempDir dir_{"segment_pool_test"};
  base::ManualLoop loop_;
};

// Of a file that goes all at once, a file system may make the log's next sync wait for long.
TEST_F(SegmentPoolTest, LargeFilesGoBitByBit) {
  const auto pool = Pool();
  pool->Recycle({Make("1.seg", 9 * kMiB), Make("2.seg", 6 * kMiB), Make("3.seg", kMiB)});
  loop_.RunUntilIdle();
  // None has a name of the log any more, and only the first has begun to shrink.
  EXPECT_EQ(Files(), (Sizes{{"gone-1", 5 * kMiB}, {"gone-2", 6 * kMiB}}));
  loop_.Advance(std::chrono::milliseconds(20));
  EXPECT_EQ(Files(), (Sizes{{"gone-1", kMiB}, {"gone-2", 6 * kMiB}}));
  loop_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(Files(), Sizes());
}

TEST_F(SegmentPoolTest, WhatACrashLeftOfThemGoesAtTheNextStart) {
  {
    const auto pool = Pool();
    pool->Recycle({Make("1.seg", 9 * kMiB), Make("2.seg", 9 * kMiB)});
    loop_.RunUntilIdle();
    pool->Stop();
    loop_.Advance(std::chrono::seconds(1));
  }
  EXPECT_EQ(Files(), (Sizes{{"gone-1", 5 * kMiB}, {"gone-2", 9 * kMiB}}));
  const auto pool = Pool();
  std::string ready;
  pool->Prepare([&](std::string path, uint64_t) { ready = std::move(path); });
  loop_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(ready, SegmentPool::SparePath(dir_.path(), 1));
  EXPECT_EQ(Files(), (Sizes{{"spare-1", 9 * kMiB}}));
}

TEST_F(SegmentPoolTest, OneThatGoesIsNotTakenForASpare) {
  const auto pool = Pool();
  pool->Recycle({Make("1.seg", 9 * kMiB), Make("2.seg", 9 * kMiB)});
  pool->Prepare([](std::string, uint64_t) {});  // looks at the folder for the first time
  loop_.RunUntilIdle();
  loop_.Advance(std::chrono::seconds(2));
  EXPECT_EQ(Files(), (Sizes{{"spare-3", 9 * kMiB}}));
  // From now on it knows what there is, and keeps two.
  pool->Recycle({Make("4.seg", 9 * kMiB), Make("5.seg", 9 * kMiB), Make("6.seg", 9 * kMiB)});
  loop_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(Files(), (Sizes{{"spare-3", 9 * kMiB}, {"spare-4", 9 * kMiB}, {"spare-5", 9 * kMiB}}));
}

}  // namespace
}  // namespace keel::raft
