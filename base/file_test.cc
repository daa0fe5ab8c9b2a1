#include "base/file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/strings.h"

namespace keel::base {
namespace {

class FileTest : public ::testing::Test {
 protected:
  FileTest() : dir_(::testing::TempDir() + "/keel_file_test_" + std::to_string(::getpid())) {
    std::filesystem::remove_all(dir_);
    EXPECT_TRUE(fs_.CreateDirs(dir_).ok());
  }
  ~FileTest() override { std::filesystem::remove_all(dir_); }

  FileSystem& fs_ = PosixFileSystem();
  const std::string dir_;
};

TEST_F(FileTest, CreatesFoldersAtAnyDepth) {
  EXPECT_TRUE(fs_.CreateDirs(dir_ + "/x/y/z/").ok());
  EXPECT_TRUE(fs_.CreateDirs(dir_ + "/x/y/z").ok());
  EXPECT_EQ(*fs_.List(dir_ + "/x/y"), std::vector<std::string>{"z"});
  EXPECT_TRUE(fs_.Open(dir_ + "/file", FileSystem::Mode::kCreate).ok());
  EXPECT_FALSE(fs_.CreateDirs(dir_ + "/file/below").ok());
}

TEST_F(FileTest, WritesReadsAndTruncates) {
  auto file = fs_.Open(dir_ + "/a", FileSystem::Mode::kCreate);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE((*file)->Write(0, "hello world").ok());
  const std::string_view parts[] = {"W", "", "ORLD", "!"};
  ASSERT_TRUE((*file)->WriteV(6, parts).ok());
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_EQ(*(*file)->Read(0, 100), "hello WORLD!");
  EXPECT_EQ(*(*file)->Read(6, 5), "WORLD");
  EXPECT_EQ(*(*file)->Read(50, 5), "");
  ASSERT_TRUE((*file)->Truncate(5).ok());
  EXPECT_EQ(*(*file)->Size(), 5u);
}

TEST_F(FileTest, OpenNamesTheMissingFile) {
  const auto file = fs_.Open(dir_ + "/missing", FileSystem::Mode::kRead);
  EXPECT_EQ(file.status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(ToStd(file.status().message()).find("missing"), std::string::npos);
}

TEST_F(FileTest, WritesManyPartsInOneCall) {
  auto file = fs_.Open(dir_ + "/a", FileSystem::Mode::kCreateEmpty);
  ASSERT_TRUE(file.ok());
  std::vector<std::string_view> parts(5000, "abc");  // More than IOV_MAX.
  ASSERT_TRUE((*file)->WriteV(0, parts).ok());
  EXPECT_EQ(*(*file)->Size(), 15000u);
}

TEST_F(FileTest, AtomicReplaceLeavesNoTemporaryFile) {
  ASSERT_TRUE(WriteFileAtomic(fs_, dir_ + "/m", "one").ok());
  ASSERT_TRUE(WriteFileAtomic(fs_, dir_ + "/m", "two").ok());
  EXPECT_EQ(*ReadFile(fs_, dir_ + "/m"), "two");
  EXPECT_EQ(*fs_.List(dir_), std::vector<std::string>{"m"});
}

TEST_F(FileTest, SecondLockIsRefusedUntilTheFirstIsGone) {
  auto first = fs_.Lock(dir_ + "/LOCK");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(fs_.Lock(dir_ + "/LOCK").status().code(), absl::StatusCode::kUnavailable);
  first->reset();
  EXPECT_TRUE(fs_.Lock(dir_ + "/LOCK").ok());
}

}  // namespace
}  // namespace keel::base
