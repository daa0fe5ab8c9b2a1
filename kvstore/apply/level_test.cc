// Members of two releases, one of which does not know a command.
#include "kvstore/apply/level.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "kvstore/apply/testing.h"

namespace keel::kvstore {
namespace {

// A state machine of the program of that level; compaction came with level 1.
class LeveledMachine {
 public:
  LeveledMachine(const std::string& dir, uint32_t level) {
    KvStateMachine::Options options;
    options.store.dir = dir;
    options.store.write_buffer_bytes = 4 << 20;
    options.store.block_cache_bytes = 4 << 20;
    options.member_id = TestMachine::kMember;
    options.levels = LevelsForTests(level);
    machine_ = KvStateMachine::Create(std::move(options), &sink_);
  }

  absl::Status Open() {
    auto opened = machine_->Open();
    if (opened.ok()) index_ = opened->index;
    return opened.status();
  }

  // The status of applying it; `refused` gets what its proposer is told.
  absl::Status Apply(const kv::Command& command, absl::Status* refused) {
    sink_.results.clear();
    const absl::Status status = machine_->Apply({{TestMachine::Entry(++index_, command)}});
    if (status.ok()) *refused = sink_.results.at(0).status;
    return status;
  }

  KvStateMachine* operator->() { return machine_.get(); }

 private:
  RecordingSink sink_;
  std::unique_ptr<KvStateMachine> machine_;
  raft::Index index_ = 0;
};

kv::Command RaiseCommand(uint32_t level) {
  kv::Command command;
  command.mutable_cluster_version()->set_version("3.6.0");
  command.mutable_cluster_version()->set_level(level);
  return command;
}

class LevelTest : public testing::Test {
 protected:
  TempDir dir_;
  absl::Status refused_;
};

TEST_F(LevelTest, ACommandAboveTheClustersLevelIsRefusedByOldAndNewAlike) {
  LeveledMachine older(dir_ / "older", 0), newer(dir_ / "newer", 1);
  ASSERT_TRUE(older.Open().ok());
  ASSERT_TRUE(newer.Open().ok());
  std::vector<absl::Status> told;
  for (LeveledMachine* machine : {&older, &newer}) {
    for (const kv::Command& command :
         {PutCommand("a", "1"), PutCommand("a", "2"), CompactCommand(3)}) {
      ASSERT_TRUE(machine->Apply(command, &refused_).ok());
    }
    told.push_back(refused_);
    EXPECT_EQ((*machine)->view()->compact_revision(), -1);
  }
  EXPECT_EQ(told[0].code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(told[0], told[1]);
  EXPECT_EQ(older->view()->HashKv(0)->hash, newer->view()->HashKv(0)->hash);
}

TEST_F(LevelTest, OnceRaisedItIsCarriedOutAndStaysSoOverAStart) {
  {
    LeveledMachine newer(dir_ / "store", 1);
    ASSERT_TRUE(newer.Open().ok());
    ASSERT_TRUE(newer.Apply(PutCommand("a", "1"), &refused_).ok());
    EXPECT_EQ(newer->cluster_level(), 0u);
    ASSERT_TRUE(newer.Apply(RaiseCommand(1), &refused_).ok());
    EXPECT_EQ(newer->cluster_level(), 1u);
    ASSERT_TRUE(newer.Apply(RaiseCommand(0), &refused_).ok());
    EXPECT_EQ(newer->cluster_level(), 1u);  // it never sinks
    ASSERT_TRUE(newer.Apply(CompactCommand(2), &refused_).ok());
    EXPECT_TRUE(refused_.ok()) << refused_;
    EXPECT_EQ(newer->view()->compact_revision(), 2);
  }
  {
    LeveledMachine newer(dir_ / "store", 1);
    ASSERT_TRUE(newer.Open().ok());
    EXPECT_EQ(newer->cluster_level(), 1u);
  }
  LeveledMachine older(dir_ / "store", 0);
  const absl::Status opened = older.Open();
  EXPECT_EQ(opened.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(opened.ToString().find("run a newer one"), std::string::npos) << opened;
}

TEST_F(LevelTest, AnOlderProgramStopsWhereTheLevelGoesAboveItsOwn) {
  LeveledMachine older(dir_ / "store", 0);
  ASSERT_TRUE(older.Open().ok());
  ASSERT_TRUE(older.Apply(PutCommand("a", "1"), &refused_).ok());
  const absl::Status status = older.Apply(RaiseCommand(1), &refused_);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(older->cluster_level(), 0u);
}

TEST_F(LevelTest, ThisProgramKnowsAllThatItSends) {
  const auto* fields = kv::Command::descriptor();
  for (int i = 0; i < fields->field_count(); ++i) {
    EXPECT_LE(LevelOfCommand(fields->field(i)->number()), kOwnLevel) << fields->field(i)->name();
  }
}

}  // namespace
}  // namespace keel::kvstore
