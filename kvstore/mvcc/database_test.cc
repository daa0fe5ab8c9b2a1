// What RocksDB is told that no result shows.
#include "kvstore/mvcc/database.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "base/temp_dir.h"

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

}  // namespace
}  // namespace keel::kvstore
