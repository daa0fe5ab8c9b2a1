// What a disk may give back: segments with damage anywhere. Recovery brings
// back what was written, up to where a crash may have cut it, or refuses; it
// never makes an entry up, and never crashes.
#include <gtest/gtest.h>

#include <fstream>

#include "raft/log/test_util.h"
#include "tests/fuzz/mutator.h"

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

TEST(LogFuzzTest, DamagedSegmentsAreRefusedOrCutNeverInvented) {
  TempDir dir("log_fuzz_test");
  LogOptions options = TestLog::Options(dir.path() + "/log");
  options.segment_bytes = 16 << 10;
  std::vector<Entry> written;
  {
    TestLog log;
    ASSERT_TRUE(log.Open(options).ok());
    for (Index i = 1; i <= 120; i += 3) {
      const std::vector<Entry> entries = MakeEntries(i, i + 2, 1 + i / 40, 100);
      ASSERT_TRUE(log.Append(entries, HardState{1 + i / 40, 0xa1, i - 1}));
      written.insert(written.end(), entries.begin(), entries.end());
    }
  }
  std::map<std::string, std::string> files;
  for (const auto& file : stdfs::directory_iterator(options.dir)) {
    if (file.is_regular_file()) files[file.path().filename()] = Slurp(file.path());
  }
  ASSERT_GE(files.size(), 2u);
  uint64_t refused = 0;
  uint64_t whole = 0;
  uint64_t cut = 0;
  for (uint64_t seed = 1; seed <= fuzz::Seeds(400); ++seed) {
    SCOPED_TRACE(seed);
    fuzz::Mutator mutate(seed);
    stdfs::remove_all(options.dir);
    stdfs::create_directories(options.dir);
    auto victim = files.begin();
    std::advance(victim, mutate.Draw(files.size()));
    for (const auto& [name, data] : files) {
      std::string bytes = data;
      if (name == victim->first && !bytes.empty()) {
        // Most of a segment is not written to yet: aim at what is.
        const size_t used = bytes.find_last_not_of('\0') + 1;
        std::string tail = bytes.substr(used);
        bytes = mutate.Damage(bytes.substr(0, used));
        if (mutate.Chance(80)) bytes += tail;
      }
      Spill(options.dir + "/" + name, bytes);
    }
    TestLog log;
    if (const absl::Status opened = log.Open(options); !opened.ok()) {
      ASSERT_TRUE(absl::IsDataLoss(opened) || absl::IsFailedPrecondition(opened)) << opened;
      ++refused;
      continue;
    }
    const Index last = log.log->LastIndex();
    ASSERT_LE(last, written.size());
    for (const Entry& entry : log.All()) {
      ASSERT_TRUE(Same(entry, written[entry.index - 1])) << "entry " << entry.index;
    }
    ++(last == written.size() ? whole : cut);
    // And it can be written to again.
    ASSERT_TRUE(log.Append(MakeEntries(last + 1, last + 1, 9)));
  }
  EXPECT_GT(refused, 20u);
  EXPECT_GT(whole + cut, 5u);
}

}  // namespace
}  // namespace keel::raft
