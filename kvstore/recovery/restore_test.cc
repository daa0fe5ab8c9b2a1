#include "kvstore/recovery/restore.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/strings.h"
#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

void NoProgress(uint64_t, uint64_t) {}

class Restore : public testing::Test {
 protected:
  void SetUp() override {
    TestMachine machine(dir_ / "old", false,
                        {{.id = 7, .name = "old", .peer_urls = {"http://o:1"}}});
    machine.Run(GrantCommand(5, 60));
    for (int i = 0; i < 50; ++i) machine.Run(PutCommand(base::StrCat("k", i), "v", 5));
    machine.Run(CompactCommand(20));
    kv::Command alarm;
    alarm.mutable_alarm()->set_action(etcdserverpb::AlarmRequest::ACTIVATE);
    alarm.mutable_alarm()->set_memberid(7);
    alarm.mutable_alarm()->set_alarm(etcdserverpb::NOSPACE);
    machine.Run(alarm);
    hash_ = machine.HashKv();
    ASSERT_TRUE(machine->ExportCheckpoint(dir_ / "checkpoint").ok());
    const auto header = DescribeCheckpoint(fs_, dir_ / "checkpoint");
    ASSERT_TRUE(header.ok()) << header.status();
    SnapshotProducer producer(fs_, dir_ / "checkpoint", *header);
    std::ofstream out(dir_ / "snapshot", std::ios::binary);
    out << *producer.Read(producer.total_bytes());
    out << producer.Hash();
    out.close();

    options_.snapshot = dir_ / "snapshot";
    options_.config.data_dir = dir_ / "new";
    options_.config.name = "a";
    options_.config.initial_cluster = *ParseInitialCluster("a=http://h:1,b=http://h:2");
    options_.config.initial_advertise_peer_urls = *ParseUrls("http://h:1");
    options_.config.initial_cluster_token = "other";
  }

  absl::StatusOr<RestoreResult> Run() { return RestoreSnapshotFile(fs_, options_, NoProgress); }
  bool NothingLeft() {
    return !std::filesystem::exists(dir_ / "new") && !std::filesystem::exists(dir_ / "new.part");
  }

  base::FileSystem& fs_ = base::PosixFileSystem();
  TempDir dir_;
  uint32_t hash_ = 0;
  RestoreOptions options_;
};

TEST_F(Restore, KeepsKeysAndLeasesUnderNewMembers) {
  const auto restored = Run();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->revision, 51);
  // As kvd derives them from the same flags.
  EXPECT_EQ(restored->identity.member_id, ComputeMemberId(*ParseUrls("http://h:1"), "other"));
  ServerConfig config = options_.config;
  const auto data_dir = OpenDataDir(fs_, config);
  ASSERT_TRUE(data_dir.ok()) << data_dir.status();
  EXPECT_FALSE(data_dir->first_start);
  EXPECT_EQ(data_dir->identity.cluster_id, restored->identity.cluster_id);

  TestMachine machine(config.store_dir());
  EXPECT_EQ(machine.applied.index, kRebasedIndex);
  EXPECT_EQ(machine.applied.term, kRebasedTerm);
  EXPECT_EQ(machine.HashKv(), hash_);
  ASSERT_EQ(machine->members().List().size(), 2u);
  EXPECT_FALSE(machine->members().Find(7).has_value());
  EXPECT_FALSE(machine->members().WasRemoved(7));
  EXPECT_EQ(machine.applied.conf.voters.size(), 2u);
  EXPECT_TRUE(machine->alarms().empty());
  ASSERT_EQ(machine->leases().List().size(), 1u);
  EXPECT_EQ(machine->leases().List()[0].granted_ttl, 60);
  EXPECT_EQ(machine->view()->LeaseKeys(5)->size(), 50u);
  // It goes on from there.
  EXPECT_EQ(machine.Run(PutCommand("new", "1")).revision, 52);
}

TEST_F(Restore, LeavesOutRevisionsAndCallsThePastCompacted) {
  options_.bump_revision = 1000;
  options_.mark_compacted = true;
  const auto restored = Run();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->revision, 1051);
  TestMachine machine(options_.config.store_dir());
  EXPECT_EQ(machine->view()->revision(), 1051);
  EXPECT_EQ(machine->view()->compact_revision(), 1051);
  EXPECT_EQ(machine.Get("k1"), "v");
  EXPECT_NE(machine.Get("k1", 51).find("compacted"), std::string::npos);
  EXPECT_NE(machine->ReadHistory({.from_revision = 52}).status().ToString().find("compacted"),
            std::string::npos);
}

TEST_F(Restore, RefusesWhatMakesNoSense) {
  options_.bump_revision = 5;
  EXPECT_EQ(Run().status().code(), absl::StatusCode::kInvalidArgument);
  options_.bump_revision = 0;
  options_.mark_compacted = true;
  EXPECT_EQ(Run().status().code(), absl::StatusCode::kInvalidArgument);
  options_.mark_compacted = false;
  options_.config.name = "c";
  EXPECT_EQ(Run().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(NothingLeft());
}

TEST_F(Restore, RefusesADirectoryThatIsNotEmpty) {
  std::filesystem::create_directories(dir_ / "new");
  EXPECT_TRUE(Run().ok());  // an empty one is as good as none
  const absl::Status again = Run().status();
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(again.ToString().find("is not empty"), std::string::npos);
}

TEST_F(Restore, WritesNothingFromADamagedFile) {
  std::filesystem::resize_file(options_.snapshot,
                               std::filesystem::file_size(options_.snapshot) / 2);
  EXPECT_EQ(Run().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(NothingLeft());
}

}  // namespace
}  // namespace keel::kvstore
