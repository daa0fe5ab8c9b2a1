// What RocksDB is told that no result shows.
#include "kvstore/mvcc/database.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "absl/time/clock.h"
#include "base/strings.h"
#include "base/temp_dir.h"
#include "kvstore/mvcc/store.h"

namespace keel::kvstore {
namespace {

// Name and nice value of this process' threads, the least nice of each name.
std::map<std::string, int> NiceOfThreads() {
  std::map<std::string, int> result;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    const int nice = getpriority(PRIO_PROCESS, std::stoi(task.path().filename()));
    const auto [at, is_new] = result.emplace(name, nice);
    if (!is_new) at->second = std::min(at->second, nice);
  }
  return result;
}

TEST(DatabaseTest, FlushesGiveWayToAnswers) {
  const base::TempDir dir;
  const int nice = getpriority(PRIO_PROCESS, 0);
  auto database = Database::Open(dir.path(), StoreOptions{}, /*create=*/true);
  ASSERT_TRUE(database.ok()) << database.status();
  rocksdb::WriteBatch batch;
  batch.Put((*database)->family(Family::kLatest), "key", "value");
  ASSERT_TRUE((*database)->Write(&batch).ok());
  ASSERT_TRUE((*database)->Flush(/*wait=*/true).ok());
  const auto threads = NiceOfThreads();
  ASSERT_TRUE(threads.contains("rocksdb:high"));
  EXPECT_EQ(threads.at("rocksdb:high"), std::min(nice + 5, 19));
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), nice);
}

// A flush that is asked for just behind one that RocksDB began itself would write files of next to
// nothing.
TEST(StoreTest, AFlushThatOneUnderWayMostlyCoversIsLeftOut) {
  const base::TempDir dir;
  StoreOptions options;
  options.dir = dir.path();
  options.write_buffer_bytes = 2 << 20;
  auto opened = Store::Open(options);
  ASSERT_TRUE(opened.ok()) << opened.status();
  Store& store = **opened;
  uint64_t index = 0;
  const auto put = [&] {
    store.writer().Begin();
    ASSERT_TRUE(store.writer().Put(base::StrCat("key", ++index), std::string(10'000, 'v'), 0).ok());
    store.writer().End();
    ASSERT_TRUE(store.Commit(index, 1).ok());
    store.Publish();
    store.writer().TakeFeed();
  };
  while (store.sealed_index() == 0) {
    put();
    ASSERT_LT(index, 1000u);
  }
  ASSERT_EQ(store.sealed_index(), index - 1);
  ASSERT_TRUE(store.StartFlush().ok());
  EXPECT_EQ(store.sealed_index(), index - 1);

  put();
  ASSERT_TRUE(store.StartFlush().ok());  // all of what has come since
  EXPECT_EQ(store.sealed_index(), index);
  for (int i = 0; i < 1000 && store.durable_index() != index; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(store.durable_index(), index);
}

}  // namespace
}  // namespace keel::kvstore
