#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/strings.h"
#include "kvstore/apply/testing.h"
#include "kvstore/recovery/backup_folder.h"
#include "kvstore/recovery/backup_restore.h"
#include "kvstore/recovery/backup_segment.h"

namespace keel::kvstore {
namespace {

constexpr WallMicros kStart = 1'700'000'000'000'000;
constexpr WallMicros kSecond = 1'000'000;
constexpr uint64_t kCluster = 0xc1;

void NoProgress(uint64_t, uint64_t) {}

BackupEvents ToProto(const RevisionEvents& revision) {
  BackupEvents events;
  for (const Event& event : revision.events) {
    mvccpb::Event& proto = *events.Add();
    proto.set_type(event.type == Event::Type::kPut ? mvccpb::Event::PUT : mvccpb::Event::DELETE);
    proto.mutable_kv()->set_key(event.kv.key);
    proto.mutable_kv()->set_mod_revision(event.kv.mod_revision);
    if (event.type == Event::Type::kDelete) continue;
    proto.mutable_kv()->set_value(event.kv.value);
    proto.mutable_kv()->set_create_revision(event.kv.create_revision);
    proto.mutable_kv()->set_version(event.kv.version);
    proto.mutable_kv()->set_lease(event.kv.lease);
  }
  return events;
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}
void WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// A store whose changes go into a backup: revision r at kStart + r seconds.
class Backup : public testing::Test, public FeedSubscriber {
 protected:
  void SetUp() override {
    machine_->Subscribe(this);
    Open();
    Put("before", "the first base");
    ASSERT_TRUE(folder_->Begin(2, Now()).ok());
    Ship();
    TakeBase(1);
    options_.config.name = "a";
    options_.config.initial_cluster = *ParseInitialCluster("a=http://h:1");
    options_.config.initial_advertise_peer_urls = *ParseUrls("http://h:1");
  }

  void OnRevisions(std::shared_ptr<const FeedBatch> batch) override {
    for (const RevisionEvents& revision : *batch) waiting_.push_back(revision);
  }
  void OnReset(int64_t) override {}

  void Open() {
    auto folder = BackupFolder::Open(fs_, dir_ / "backup", kCluster);
    ASSERT_TRUE(folder.ok()) << folder.status();
    folder_ = *std::move(folder);
  }
  WallMicros Now() { return kStart + machine_->view()->revision() * kSecond; }
  void Put(const std::string& key, const std::string& value, int64_t lease = 0) {
    machine_.Run(PutCommand(key, value, lease));
  }
  void Ship(bool flush = true) {
    for (const RevisionEvents& revision : waiting_) {
      folder_->AddRevision(revision.revision, ToProto(revision),
                           kStart + revision.revision * kSecond);
    }
    waiting_.clear();
    if (flush) {
      ASSERT_TRUE(folder_->Flush(Now()).ok());
    }
  }
  void TakeBase(uint64_t auth) {
    const std::string checkpoint = dir_ / base::StrCat("checkpoint", ++checkpoints_);
    ASSERT_TRUE(machine_->ExportCheckpoint(checkpoint).ok());
    auto header = DescribeCheckpoint(fs_, checkpoint);
    ASSERT_TRUE(header.ok()) << header.status();
    header->cluster_id = kCluster;
    SnapshotProducer producer(fs_, checkpoint, *header);
    const std::string name = folder_->NewBaseName();
    const std::string bytes = *producer.Read(producer.total_bytes());
    WriteAll(dir_ / ("backup/" + name), bytes + producer.Hash());
    ASSERT_TRUE(folder_
                    ->AddBase({name, header->revision, header->compact_revision, 0,
                               bytes.size() + kSnapshotHashBytes, auth},
                              Now())
                    .ok());
  }
  // Puts, overwrites and deletes, some in one revision, shipped as they come.
  void Work(int from, int to) {
    for (int i = from; i < to; ++i) {
      if (i % 7 == 6) {
        machine_.Run(DeleteCommand("k", "l"));
      } else if (i % 5 == 4) {
        etcdserverpb::TxnRequest txn;
        for (const char* key : {"k/x", "k/y", "k/z"}) {
          auto* put = txn.add_success()->mutable_request_put();
          put->set_key(key);
          put->set_value(base::StrCat(i));
        }
        machine_.RunTxn(txn);
      } else {
        Put(base::StrCat("k", i % 3), base::StrCat("value ", i));
      }
      hashes_[machine_->view()->revision()] = machine_.HashKv();
      Ship(i % 2 == 0);
    }
    Ship();
  }

  absl::StatusOr<RestoreResult> Restore(const BackupTarget& target) {
    options_.config.data_dir = dir_ / base::StrCat("restored", ++restores_);
    return RestoreBackup(fs_, dir_ / "backup", target, options_, NoProgress);
  }
  bool NothingLeft() {
    return !std::filesystem::exists(options_.config.data_dir) &&
           !std::filesystem::exists(options_.config.data_dir + ".part");
  }
  std::string SegmentPath(size_t number) {
    return dir_ / ("backup/" + ReadCatalogue(fs_, dir_ / "backup")->segments[number].name);
  }
  std::vector<std::string> Damage() {
    const auto check = VerifyBackup(fs_, dir_ / "backup", NoProgress);
    return check.ok() ? check->damage : std::vector<std::string>{check.status().ToString()};
  }

  base::FileSystem& fs_ = base::PosixFileSystem();
  TempDir dir_;
  TestMachine machine_{dir_ / "store"};
  std::unique_ptr<BackupFolder> folder_;
  std::vector<RevisionEvents> waiting_;
  std::map<int64_t, uint32_t> hashes_;  // by revision, of the original
  RestoreOptions options_;
  int checkpoints_ = 0;
  int restores_ = 0;
};

TEST_F(Backup, AnyRevisionComesBackAsItWas) {
  Work(0, 20);
  ASSERT_TRUE(folder_->Rotate(Now()).ok());
  Work(20, 30);
  TakeBase(1);
  Work(30, 40);
  const auto ranges = ListBackup(fs_, dir_ / "backup");
  ASSERT_TRUE(ranges.ok()) << ranges.status();
  ASSERT_EQ(ranges->size(), 1u);
  EXPECT_EQ((*ranges)[0].bases.size(), 2u);
  EXPECT_EQ((*ranges)[0].bases[0].revision, 2);
  EXPECT_EQ((*ranges)[0].last, machine_->view()->revision());
  for (const auto& [revision, hash] : hashes_) {
    if (revision % 4 != 0 && revision != machine_->view()->revision()) continue;
    const auto restored = Restore({.revision = revision});
    ASSERT_TRUE(restored.ok()) << revision << ": " << restored.status();
    EXPECT_EQ(restored->revision, revision);
    TestMachine copy(options_.config.store_dir());
    EXPECT_EQ(copy.HashKv(), hash) << revision;
    // With its history.
    for (const auto& [past, hash_then] : hashes_) {
      if (past > revision) break;
      EXPECT_EQ(copy.HashKv(past), hash_then) << past << " of " << revision;
    }
  }
  EXPECT_TRUE(Damage().empty()) << Damage()[0];
}

TEST_F(Backup, TimesMeanTheLastRevisionReceivedByThen) {
  Work(0, 10);
  const int64_t last = machine_->view()->revision();
  ASSERT_TRUE(folder_->Flush(Now() + 100 * kSecond).ok());  // nothing happened since
  for (const auto& [offset, revision] :
       std::vector<std::pair<WallMicros, int64_t>>{{0, 5}, {kSecond - 1, 5}, {kSecond, 6}}) {
    const auto restored = Restore({.time = kStart + 5 * kSecond + offset});
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_EQ(restored->revision, revision);
  }
  EXPECT_EQ(Restore({.time = Now() + 100 * kSecond})->revision, last);
  EXPECT_EQ(Restore({})->revision, last);
  for (const WallMicros time : {Now() + 100 * kSecond + 1, kStart + kSecond}) {
    const absl::Status refused = Restore({.time = time}).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kOutOfRange) << refused;
    EXPECT_NE(refused.ToString().find(base::StrCat("revisions 2 to ", last)), std::string::npos);
    EXPECT_TRUE(NothingLeft());
  }
  EXPECT_EQ(Restore({.revision = last + 1}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Restore({.revision = 1}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Restore({.revision = 3, .time = Now()}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(Backup, BumpsAndMarksCompactedAsASnapshotDoes) {
  Work(0, 10);
  options_.bump_revision = 1000;
  options_.mark_compacted = true;
  const auto restored = Restore({.revision = 6});
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->revision, 1006);
  TestMachine copy(options_.config.store_dir());
  EXPECT_EQ(copy->view()->compact_revision(), 1006);
}

TEST_F(Backup, LeasesOfKeysAreGrantedAgain) {
  machine_.Run(GrantCommand(5, 600));
  machine_.Run(GrantCommand(6, 700));
  machine_.Run(GrantCommand(7, 800));
  Put("a", "1", 5);
  Put("b", "1", 6);
  Put("c", "1", 7);
  Ship();
  folder_->AddLeases({{5, 600}, {7, 800}}, Now());
  ASSERT_TRUE(folder_->Flush(Now()).ok());
  machine_.Run(RevokeCommand(7));
  Ship();
  const int64_t gone = machine_->view()->revision();
  for (const int64_t revision : {gone - 1, gone}) {
    ASSERT_TRUE(Restore({.revision = revision}).ok());
    TestMachine copy(options_.config.store_dir());
    std::vector<Lease> expected = {{5, 600, 0}, {6, kUnknownLeaseTtl, 0}};
    if (revision < gone) expected.push_back({7, 800, 0});
    EXPECT_EQ(copy->leases().List(), expected);
    EXPECT_EQ(copy->view()->LeaseKeys(5)->size(), 1u);
  }
}

TEST_F(Backup, GoesOnAfterACrash) {
  Work(0, 10);
  const std::string path = SegmentPath(0);
  const std::string whole = ReadAll(path);
  const int64_t durable = folder_->last_revision();
  Put("more", "1");
  Put("more", "2");
  const std::vector<RevisionEvents> shipped = waiting_;
  Ship();
  const std::string longer = ReadAll(path);
  folder_ = nullptr;
  // The last write came to the disk up to any byte, or in any half.
  for (size_t cut = whole.size(); cut < longer.size(); cut += 3) {
    for (const bool tail_only : {false, true}) {
      std::string left = longer.substr(0, cut);
      if (tail_only) {
        left = longer;
        left.replace(whole.size(), cut - whole.size() + 1, cut - whole.size() + 1, '\0');
      }
      WriteAll(path, left);
      EXPECT_TRUE(Damage().empty());
      Open();
      ASSERT_TRUE(folder_->following()) << folder_->damage();
      EXPECT_GE(folder_->last_revision(), durable);
      EXPECT_LE(folder_->last_revision(), durable + 2);
      EXPECT_EQ(folder_->newest_base()->revision, 2);
      waiting_ = shipped;
      std::erase_if(waiting_, [this](const RevisionEvents& revision) {
        return revision.revision <= folder_->last_revision();
      });
      Ship();
      folder_ = nullptr;
      const auto check = VerifyBackup(fs_, dir_ / "backup", NoProgress);
      ASSERT_TRUE(check.ok());
      EXPECT_TRUE(check->damage.empty() && check->notes.empty()) << cut;
      EXPECT_EQ((*ListBackup(fs_, dir_ / "backup"))[0].last, durable + 2);
    }
  }
  ASSERT_TRUE(Restore({}).ok());
  TestMachine copy(options_.config.store_dir());
  EXPECT_EQ(copy.HashKv(), machine_.HashKv());
}

TEST_F(Backup, DamageIsReportedAndNeverSkipped) {
  Work(0, 10);
  ASSERT_TRUE(folder_->Rotate(Now()).ok());
  Work(10, 16);
  ASSERT_TRUE(folder_->Flush(Now()).ok());
  const std::string closed = SegmentPath(0), open = SegmentPath(1);
  const std::string closed_bytes = ReadAll(closed), open_bytes = ReadAll(open);
  const size_t last_group = open_bytes.size() - kBackupRecordHeaderBytes;
  const auto expect_reported = [&](const std::string& path) {
    const std::vector<std::string> damage = Damage();
    ASSERT_FALSE(damage.empty());
    EXPECT_NE(damage[0].find(path), std::string::npos) << damage[0];
  };
  for (size_t at = 0; at < closed_bytes.size(); at += 13) {
    std::string altered = closed_bytes;
    altered[at] = static_cast<char>(altered[at] ^ 0x20);
    WriteAll(closed, altered);
    expect_reported(closed);
    WriteAll(closed, closed_bytes.substr(0, at));
    expect_reported(closed);
  }
  WriteAll(closed, closed_bytes + "x");
  expect_reported(closed);
  std::string altered = closed_bytes;
  altered[closed_bytes.size() / 2] ^= 1;
  WriteAll(closed, altered);
  const absl::Status refused = Restore({}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kDataLoss) << refused;
  EXPECT_NE(refused.ToString().find(closed + " is damaged at byte "), std::string::npos) << refused;
  EXPECT_TRUE(NothingLeft());
  EXPECT_TRUE(Restore({.revision = 3}).ok());  // from before it
  WriteAll(closed, closed_bytes);
  EXPECT_TRUE(Damage().empty());

  // In the segment that is written to: up to its last group.
  for (size_t at = 0; at < last_group; at += 5) {
    altered = open_bytes;
    altered[at] = static_cast<char>(altered[at] ^ 0x20);
    WriteAll(open, altered);
    expect_reported(open);
  }
  // Who writes on leaves it as it is, and begins a new chain.
  folder_ = nullptr;
  Open();
  EXPECT_FALSE(folder_->following());
  EXPECT_EQ(folder_->damage().code(), absl::StatusCode::kDataLoss);
  Put("x", "lost to the backup");
  Put("y", "1");
  waiting_.erase(waiting_.begin());
  ASSERT_TRUE(folder_->Begin(waiting_[0].revision, Now()).ok());
  EXPECT_EQ(folder_->newest_base(), nullptr);
  Ship();
  TakeBase(1);
  expect_reported(open);
  EXPECT_EQ(Restore({})->revision, machine_->view()->revision());
  EXPECT_EQ(ListBackup(fs_, dir_ / "backup")->size(), 2u);
}

TEST_F(Backup, MissingAndStrangeFilesAreReported) {
  Work(0, 10);
  ASSERT_TRUE(folder_->Rotate(Now()).ok());
  const std::string closed = SegmentPath(0), open = SegmentPath(1);
  std::filesystem::rename(closed, dir_ / "aside");
  EXPECT_NE(Damage()[0].find(closed), std::string::npos);
  std::filesystem::copy(open, closed);  // another segment under its name
  EXPECT_NE(Damage()[0].find("another one than the catalogue lists"), std::string::npos);
  std::filesystem::remove(closed);
  std::filesystem::rename(dir_ / "aside", closed);
  EXPECT_TRUE(Damage().empty());
  const std::string base = dir_ / ("backup/" + folder_->catalogue().bases[0].name);
  const std::string bytes = ReadAll(base);
  WriteAll(base, bytes.substr(0, bytes.size() / 2));
  EXPECT_NE(Damage()[0].find(base), std::string::npos);
  EXPECT_EQ(Restore({}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(NothingLeft());
  EXPECT_EQ(ListBackup(fs_, dir_ / "nowhere").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(Backup, OneWriterAndOneClusterAFolder) {
  EXPECT_EQ(BackupFolder::Open(fs_, dir_ / "backup", kCluster).status().code(),
            absl::StatusCode::kUnavailable);
  folder_ = nullptr;
  const absl::Status other = BackupFolder::Open(fs_, dir_ / "backup", 0xc2).status();
  EXPECT_EQ(other.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(other.ToString().find("cluster c1"), std::string::npos);
}

TEST_F(Backup, PruningKeepsWhatATimeNeeds) {
  std::vector<WallMicros> bases;
  for (int i = 0; i < 4; ++i) {
    Work(10 * i, 10 * i + 10);
    TakeBase(1);
    bases.push_back(Now());
    ASSERT_TRUE(folder_->Rotate(Now()).ok());
  }
  Work(40, 45);
  const WallMicros since = bases[2] - kSecond;
  const int64_t there = Restore({.time = since})->revision;
  ASSERT_TRUE(folder_->Prune(since).ok());
  EXPECT_EQ(folder_->catalogue().bases.size(), 3u);
  EXPECT_TRUE(Damage().empty());
  size_t files = 0;
  for (const auto& each : std::filesystem::directory_iterator(dir_ / "backup")) {
    files += each.path().filename() != "LOCK" && each.path().filename() != "CATALOGUE";
  }
  EXPECT_EQ(files, folder_->catalogue().bases.size() + folder_->catalogue().segments.size());
  EXPECT_EQ(Restore({.time = since})->revision, there);
  EXPECT_TRUE(Restore({}).ok());
  EXPECT_EQ(Restore({.time = bases[1] - kSecond}).status().code(), absl::StatusCode::kOutOfRange);
  // All else goes but one base and what is behind it.
  ASSERT_TRUE(folder_->Prune(Now() + kSecond).ok());
  EXPECT_EQ(folder_->catalogue().bases.size(), 1u);
  EXPECT_TRUE(Restore({}).ok());
}

TEST_F(Backup, ATimeInAGapIsNotHeld) {
  Work(0, 5);
  const int64_t last = folder_->last_revision();
  folder_ = nullptr;
  for (int i = 0; i < 10; ++i) Put("unseen", "x");
  waiting_.clear();
  Open();
  ASSERT_TRUE(folder_->Begin(machine_->view()->revision() + 1, Now()).ok());
  Work(5, 10);
  TakeBase(1);
  EXPECT_EQ(ListBackup(fs_, dir_ / "backup")->size(), 2u);
  EXPECT_TRUE(Restore({.revision = last}).ok());
  EXPECT_EQ(Restore({.revision = last + 1}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Restore({.time = kStart + (last + 1) * kSecond}).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Restore({})->revision, machine_->view()->revision());
}

}  // namespace
}  // namespace keel::kvstore
