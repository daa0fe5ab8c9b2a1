#include "raft/log/read_window.h"

#include <gtest/gtest.h>

#include <string>

#include "base/memory_files.h"
#include "base/strings.h"

namespace keel::raft {
namespace {

class ReadWindowTest : public ::testing::Test {
 protected:
  // Bytes of which no two neighbourhoods are alike.
  static std::string Bytes(size_t size) {
    std::string out;
    while (out.size() < size) out += base::StrCat(out.size(), ";");
    out.resize(size);
    return out;
  }
  void Spill(const std::string& path, std::string_view bytes) {
    auto file = fs_.Open(path, base::FileSystem::Mode::kCreateEmpty);
    ASSERT_TRUE((*file)->Write(0, bytes).ok());
  }

  base::MemoryFiles fs_;
  ReadWindow window_;
};

TEST_F(ReadWindowTest, GivesAnyPartOfAFileOfAnySize) {
  const uint64_t w = ReadWindow::kBytes;
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, w - 1, w, w + 1, 3 * w + 17}) {
    const std::string want = Bytes(size);
    Spill("/a", want);
    ASSERT_TRUE(window_.Open(fs_, "/a").ok());
    ASSERT_EQ(window_.size(), size);
    // Ahead, over the window's end, larger than the window, back again, and beyond the end.
    for (const auto& [at, bytes] : std::vector<std::pair<uint64_t, uint64_t>>{{0, 1},
                                                                              {0, 64},
                                                                              {w - 10, 24},
                                                                              {w - 5, 2 * w},
                                                                              {w + 100, 10},
                                                                              {3, 50},
                                                                              {3 * w, 17},
                                                                              {3 * w, 4 * w},
                                                                              {size, 8},
                                                                              {size + 100, 8}}) {
      const auto got = window_.At(at, bytes);
      ASSERT_TRUE(got.ok());
      const std::string_view rest = std::string_view(want).substr(std::min(at, size));
      EXPECT_GE(got->size(), std::min<uint64_t>(bytes, rest.size())) << size << " " << at;
      EXPECT_TRUE(*got == rest.substr(0, got->size())) << size << " " << at << " " << bytes;
    }
  }
}

TEST_F(ReadWindowTest, NothingOfTheFileBeforeIsTakenForThisOne) {
  Spill("/a", std::string(5000, 'a'));
  Spill("/b", std::string(100, 'b'));
  ASSERT_TRUE(window_.Open(fs_, "/a").ok());
  ASSERT_EQ(window_.At(0, 5000)->size(), 5000u);
  ASSERT_TRUE(window_.Open(fs_, "/b").ok());
  EXPECT_EQ(*window_.At(0, 5000), std::string(100, 'b'));
  EXPECT_EQ(window_.Open(fs_, "/c").code(), absl::StatusCode::kNotFound);
}

TEST_F(ReadWindowTest, AFileThatBecameShorterEndsThere) {
  Spill("/a", Bytes(3 * ReadWindow::kBytes));
  ASSERT_TRUE(window_.Open(fs_, "/a").ok());
  ASSERT_TRUE(window_.At(0, 1).ok());
  auto file = fs_.Open("/a", base::FileSystem::Mode::kReadWrite);
  ASSERT_TRUE((*file)->Truncate(ReadWindow::kBytes + 10).ok());
  EXPECT_EQ(window_.At(ReadWindow::kBytes, 100)->size(), 10u);
  EXPECT_EQ(window_.size(), ReadWindow::kBytes + 10);
}

}  // namespace
}  // namespace keel::raft
