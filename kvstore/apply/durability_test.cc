// What survives: restarts, crashes, snapshots, and what is refused at the door.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <fstream>
#include <future>
#include <mutex>

#include "base/file.h"
#include "kvstore/apply/testing.h"
#include "rocksdb/db.h"

namespace keel::kvstore {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<Member> Members() {
  return {{1, "one", {"http://a:1"}, {}, false}, {2, "two", {"http://b:1"}, {"http://b:2"}, false}};
}

// A log that can be replayed from any index.
class Log {
 public:
  const std::vector<raft::CommittedEntry>& entries() const { return entries_; }
  void Add(const kv::Command& command) {
    entries_.push_back(TestMachine::Entry(entries_.size() + 1, command));
  }
  std::vector<raft::CommittedEntry> Between(raft::Index from, raft::Index to) const {
    return {entries_.begin() + static_cast<ptrdiff_t>(from),
            entries_.begin() + static_cast<ptrdiff_t>(to)};
  }
  std::vector<raft::CommittedEntry> After(raft::Index index) const {
    return {entries_.begin() + static_cast<ptrdiff_t>(index), entries_.end()};
  }

 private:
  std::vector<raft::CommittedEntry> entries_;
};

// Compactions flush, by themselves, at any time.
Log SomeLog(int entries, bool compactions = true) {
  Log log;
  log.Add(GrantCommand(9, 100));
  for (int i = 0; i < entries; ++i) {
    const std::string key = "k" + std::to_string(i % 17);
    if (i % 11 == 5) {
      log.Add(DeleteCommand(key));
    } else if (compactions && i % 23 == 7) {
      log.Add(CompactCommand(i / 2));
    } else {
      log.Add(PutCommand(key, "v" + std::to_string(i), i % 3 == 0 ? 9 : 0));
    }
  }
  return log;
}

void WaitDurable(TestMachine& machine, raft::Index index) {
  machine->Flush();
  for (int i = 0; i < 2000 && machine->DurableIndex() < index; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_EQ(machine->DurableIndex(), index);
}

TEST(DurabilityTest, CleanRestartLosesNothing) {
  TempDir dir;
  const Log log = SomeLog(100);
  uint32_t hash = 0, all = 0;
  int64_t revision = 0;
  {
    TestMachine machine(dir / "store", false, Members());
    EXPECT_EQ(machine.applied.index, 0u);
    EXPECT_EQ(machine.applied.conf, raft::ConfState());
    machine.Run(log.entries());
    hash = machine.HashKv();
    all = *machine->view()->Hash();
    revision = machine->view()->revision();
  }
  TestMachine machine(dir / "store", false, {});
  EXPECT_EQ(machine.applied.index, log.entries().size());
  EXPECT_EQ(machine.applied.term, 1u);
  EXPECT_EQ(machine->view()->revision(), revision);
  EXPECT_EQ(machine.HashKv(), hash);
  EXPECT_EQ(*machine->view()->Hash(), all);
  EXPECT_EQ(machine->members().List(), Members());
  EXPECT_EQ(machine->leases().Find(9), (Lease{9, 100, 0}));
}

TEST(DurabilityTest, ACrashLosesTheTailAndReplayBringsItBack) {
  TempDir dir;
  const Log log = SomeLog(200, /*compactions=*/false);
  uint32_t hash = 0;
  {
    TestMachine machine(dir / "store", /*crash_on_close=*/true, Members());
    EXPECT_EQ(machine->DurableIndex(), 0u);
    machine.Run(log.Between(0, 80));
    WaitDurable(machine, 80);
    machine.Run(log.After(80));
    EXPECT_EQ(machine->DurableIndex(), 80u);
    hash = *machine->view()->Hash();
  }
  for (int crash = 0; crash < 3; ++crash) {
    TestMachine machine(dir / "store", /*crash_on_close=*/true);
    ASSERT_EQ(machine.applied.index, 80u);
    EXPECT_EQ(machine->DurableIndex(), 80u);
    machine.Run(log.After(80));
    EXPECT_EQ(*machine->view()->Hash(), hash);
  }
}

TEST(DurabilityTest, ACrashBeforeTheFirstFlushStartsOver) {
  TempDir dir;
  const Log log = SomeLog(20, /*compactions=*/false);
  {
    TestMachine machine(dir / "store", /*crash_on_close=*/true, Members());
    machine.Run(log.entries());
  }
  TestMachine machine(dir / "store", /*crash_on_close=*/true, Members());
  EXPECT_EQ(machine.applied.index, 0u);
  EXPECT_EQ(machine->view()->revision(), 1);
  EXPECT_EQ(machine->members().List(), Members());
}

// Physical compaction must not run ahead of what a crash would bring back.
TEST(DurabilityTest, ACrashAfterCompactionPromisesOnlyWhatIsThere) {
  TempDir dir;
  Log log;
  for (int i = 0; i < 50; ++i) log.Add(PutCommand("a", std::to_string(i)));
  log.Add(CompactCommand(40));
  {
    TestMachine machine(dir / "store", /*crash_on_close=*/true);
    machine.Run(log.Between(0, 50));
    WaitDurable(machine, 50);
    machine.Run(log.After(50));
    std::mutex mutex;
    std::condition_variable done;
    bool finished = false;
    machine->WhenPhysicallyCompacted(40, [&](absl::Status status) {
      EXPECT_TRUE(status.ok()) << status;
      const std::lock_guard lock(mutex);
      finished = true;
      done.notify_all();
    });
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return finished; });
  }
  TestMachine machine(dir / "store", /*crash_on_close=*/true);
  EXPECT_EQ(machine->view()->compact_revision(), 40);
  EXPECT_EQ(machine.Get("a", 40), "38");
  EXPECT_EQ(machine.Get("a", 41), "39");
}

TEST(DurabilityTest, SnapshotCarriesTheWholeState) {
  TempDir dir;
  const Log log = SomeLog(150);
  TestMachine source(dir / "source", false, Members());
  source.Run(log.Between(0, 100));
  std::filesystem::create_directories(dir / "snapshot");
  const auto covered = source->WriteSnapshot(dir / "snapshot");
  ASSERT_TRUE(covered.ok()) << covered.status();
  EXPECT_EQ(covered->index, 100u);
  const uint32_t hash = *source->view()->Hash();
  source.Run(log.After(100));

  TestMachine target(dir / "target");
  RecordingSubscriber subscriber;
  target->Subscribe(&subscriber);
  target.Run({PutCommand("stale", "1"), PutCommand("stale2", "1")});
  const auto old_view = target->view();
  raft::SnapshotMeta meta{100, 1, {{1, 2}, {}, {}, {}, false}};
  ASSERT_TRUE(target->RestoreSnapshot(dir / "snapshot", meta).ok());
  target.applied.index = 100;
  EXPECT_EQ(*target->view()->Hash(), hash);
  EXPECT_EQ(target.Get("stale"), "(none)");
  EXPECT_EQ(target->members().List(), Members());
  EXPECT_TRUE(target->leases().Contains(9));
  EXPECT_THAT(target.sink.notices, ElementsAre("reset"));
  EXPECT_THAT(subscriber.resets, ElementsAre(target->view()->revision()));
  // Who still reads the old state may go on.
  EXPECT_EQ(old_view->revision(), 3);
  RangeOptions options;
  options.key = "stale";
  int records = 0;
  ASSERT_TRUE(old_view->Range(options, [&](const RecordView&) { ++records; }).ok());
  EXPECT_EQ(records, 1);

  target.Run(log.After(100));
  EXPECT_EQ(*target->view()->Hash(), *source->view()->Hash());
}

TEST(DurabilityTest, RestoredStateSurvivesACrash) {
  TempDir dir;
  const Log log = SomeLog(60);
  uint32_t hash = 0;
  {
    TestMachine source(dir / "source", false, Members());
    source.Run(log.entries());
    ASSERT_TRUE(source->WriteSnapshot(dir / "snapshot").ok());
    hash = *source->view()->Hash();
  }
  const raft::ConfState conf{{1, 2}, {}, {}, {}, false};
  {
    TestMachine target(dir / "target", /*crash_on_close=*/true);
    const raft::Index index = log.entries().size();
    ASSERT_TRUE(target->RestoreSnapshot(dir / "snapshot", {index, 1, conf}).ok());
  }
  TestMachine target(dir / "target", /*crash_on_close=*/true);
  EXPECT_EQ(target.applied.index, log.entries().size());
  EXPECT_EQ(*target->view()->Hash(), hash);
  // Only the database in force is left.
  const auto names = base::PosixFileSystem().List(dir / "target");
  EXPECT_THAT(*names, ElementsAre("CURRENT", "LOCK", "db-000002"));
}

// Every step of the swap that a crash can fall between.
TEST(DurabilityTest, ACrashWhileRestoringLeavesOldOrNew) {
  TempDir dir;
  const Log log = SomeLog(30);
  {
    TestMachine source(dir / "source");
    source.Run(log.entries());
    ASSERT_TRUE(source->WriteSnapshot(dir / "snapshot").ok());
    TestMachine target(dir / "target");
    target.Run(PutCommand("old", "1"));
  }
  {  // moved in, CURRENT not written: the old state
    std::filesystem::copy(dir / "snapshot", dir / "target/db-000002");
    TestMachine target(dir / "target");
    EXPECT_EQ(target.Get("old"), "1");
    EXPECT_FALSE(std::filesystem::exists(dir / "target/db-000002"));
  }
  {  // half copied: the same
    std::filesystem::create_directories(dir / "target/db-000002");
    std::ofstream(dir / "target/db-000002/CURRENT") << "half";
    TestMachine target(dir / "target");
    EXPECT_EQ(target.Get("old"), "1");
  }
  {  // CURRENT written, the old one not removed yet: the new state
    std::filesystem::copy(dir / "snapshot", dir / "target/db-000002");
    std::ofstream(dir / "target/CURRENT") << "db-000002\n";
    TestMachine target(dir / "target");
    EXPECT_EQ(target.Get("old"), "(none)");
    EXPECT_EQ(target.applied.index, log.entries().size());
    EXPECT_FALSE(std::filesystem::exists(dir / "target/db-000001"));
  }
}

TEST(DurabilityTest, ASnapshotOfAnotherIndexIsRefusedAndNothingChanges) {
  TempDir dir;
  TestMachine source(dir / "source");
  source.Run({PutCommand("a", "1"), PutCommand("a", "2")});
  ASSERT_TRUE(source->WriteSnapshot(dir / "snapshot").ok());
  TestMachine target(dir / "target");
  target.Run(PutCommand("b", "1"));
  const absl::Status status = target->RestoreSnapshot(dir / "snapshot", {3, 1, {}});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(target.Get("b"), "1");
  target.Run(PutCommand("b", "2"));
  EXPECT_EQ(target.Get("b"), "2");
}

absl::Status CheckSnapshot(KvStateMachine& machine, const std::string& dir) {
  std::promise<absl::Status> checked;
  machine.CheckSnapshot(dir, [&](absl::Status status) { checked.set_value(std::move(status)); });
  return checked.get_future().get();
}

// Its files are the store's, and none of them is read when they are linked.
TEST(DurabilityTest, DamageInAnyFileOfASnapshotIsFound) {
  TempDir dir;
  TestMachine machine(dir / "store");
  machine.Run(SomeLog(150).entries());
  ASSERT_TRUE(machine->WriteSnapshot(dir / "snapshot").ok());
  EXPECT_TRUE(CheckSnapshot(*machine.operator->(), dir / "snapshot").ok());
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir / "snapshot")) {
    const std::string name = file.path().filename();
    if (!name.ends_with(".sst") && !name.starts_with("MANIFEST")) continue;
    SCOPED_TRACE(name);
    ++files;
    const std::string damaged = dir / "damaged";
    std::filesystem::remove_all(damaged);
    std::filesystem::copy(dir / "snapshot", damaged);
    std::fstream bytes(damaged + "/" + name, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(40);
    const char changed = static_cast<char>(bytes.get() ^ 1);
    bytes.seekp(40);
    bytes.put(changed);
    bytes.close();
    const absl::Status status = CheckSnapshot(*machine.operator->(), damaged);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_NE(status.message().find("damaged"), absl::string_view::npos) << status;
  }
  EXPECT_GE(files, 3);
}

// ---- what is refused at the door

absl::Status OpenStatus(const std::string& dir) {
  KvStateMachine::Options options;
  options.store.dir = dir;
  RecordingSink sink;
  return KvStateMachine::Create(options, &sink)->Open().status();
}

TEST(DurabilityTest, AStoreHasOneHolder) {
  TempDir dir;
  TestMachine machine(dir / "store");
  const absl::Status status = OpenStatus(dir / "store");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir / "store"));
}

TEST(DurabilityTest, ADamagedPointerIsNamed) {
  TempDir dir;
  { TestMachine machine(dir / "store"); }
  std::ofstream(dir / "store/CURRENT") << "nonsense\n";
  const absl::Status status = OpenStatus(dir / "store");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir / "store/CURRENT"));
}

TEST(DurabilityTest, AMissingDatabaseIsNamed) {
  TempDir dir;
  { TestMachine machine(dir / "store"); }
  std::filesystem::remove_all(dir / "store/db-000001");
  const absl::Status status = OpenStatus(dir / "store");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("db-000001"));
}

TEST(DurabilityTest, ADamagedTableIsFoundAndNamed) {
  TempDir dir;
  {
    TestMachine machine(dir / "store");
    for (int i = 0; i < 100; ++i)
      machine.Run(PutCommand("k" + std::to_string(i), std::string(1000, 'x')));
  }
  int damaged = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir / "store/db-000001")) {
    if (file.path().extension() != ".sst") continue;
    std::fstream stream(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(100);
    stream << "damage damage damage";
    ++damaged;
  }
  ASSERT_GT(damaged, 0);
  // Either the door or the first read says so.
  KvStateMachine::Options options;
  options.store.dir = dir / "store";
  RecordingSink sink;
  const auto machine = KvStateMachine::Create(options, &sink);
  absl::Status status = machine->Open().status();
  if (status.ok()) {
    RangeOptions range;
    range.key = std::string_view("\0", 1);
    range.range_end = std::string_view("\0", 1);
    status = machine->view()->Range(range, [](const RecordView&) {}).status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(".sst"));
}

TEST(DurabilityTest, ANewerFormatIsRefused) {
  TempDir dir;
  { TestMachine machine(dir / "store"); }
  {
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies({}, dir / "store/db-000001", &names).ok());
    for (const auto& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, dir / "store/db-000001", families, &handles, &db).ok());
    ASSERT_TRUE(db->Put({}, "format", "\x03").ok());
    for (auto* handle : handles) ASSERT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
    ASSERT_TRUE(db->Close().ok());
    delete db;
  }
  const absl::Status status = OpenStatus(dir / "store");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("format 3"));
}

TEST(DurabilityTest, ApplyInManyPiecesWhenABatchIsHuge) {
  TempDir dir;
  TestMachine machine(dir / "store");
  std::vector<kv::Command> commands;
  for (int i = 0; i < 40; ++i)
    commands.push_back(PutCommand("k" + std::to_string(i % 3), std::string(1 << 20, 'x')));
  EXPECT_EQ(machine.Run(commands).size(), 40u);
  EXPECT_EQ(machine->view()->revision(), 41);
  EXPECT_EQ(machine->view()->applied_index(), 40u);
}

TEST(DurabilityTest, SizesGrowWithWhatIsStored) {
  TempDir dir;
  TestMachine machine(dir / "store");
  for (int i = 0; i < 10; ++i)
    machine.Run(PutCommand("k" + std::to_string(i), std::string(100000, 'x')));
  EXPECT_GE(machine->sizes().db_bytes, 1000000);
  EXPECT_GE(machine->sizes().in_use_bytes, 1000000);
  EXPECT_TRUE(machine->background_status().ok());
}

}  // namespace
}  // namespace keel::kvstore
