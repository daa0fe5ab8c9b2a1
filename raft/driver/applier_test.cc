#include "raft/driver/applier.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/file.h"
#include "base/manual_loop.h"

namespace keel::raft {
namespace {

// Applies until it is told to fail.
class Machine final : public StateMachine {
 public:
  absl::StatusOr<AppliedState> Open() override { return AppliedState{}; }
  absl::Status Apply(std::span<const CommittedEntry> entries) override {
    if (fails) return absl::DataLossError("a damaged sector");
    for (const CommittedEntry& entry : entries) applied.push_back(entry.entry.index);
    return absl::OkStatus();
  }
  Index DurableIndex() override { return 0; }
  void Flush() override {}
  absl::StatusOr<AppliedState> WriteSnapshot(const std::string&) override {
    ++snapshots;
    return AppliedState{};
  }
  void CheckSnapshot(const std::string&, absl::AnyInvocable<void(absl::Status)> done) override {
    check = std::move(done);
  }
  absl::Status RestoreSnapshot(const std::string&, const SnapshotMeta&) override {
    return absl::OkStatus();
  }

  bool fails = false;
  int snapshots = 0;
  absl::AnyInvocable<void(absl::Status)> check;
  std::vector<Index> applied;
};

std::vector<Entry> EntryAt(Index index) {
  Entry entry;
  entry.term = 1;
  entry.index = index;
  entry.data = std::make_shared<const std::string>("x");
  return {entry};
}

TEST(ApplierTest, NothingIsAppliedAfterAFailure) {
  base::ManualLoop loop, apply_loop;
  Machine machine;
  std::vector<absl::Status> errors;
  auto applier = std::make_shared<Applier>(
      &machine, &base::PosixFileSystem(), &loop, &apply_loop, AppliedState{},
      [](Index, const std::vector<ConfChange>&) {},
      [&](absl::Status status) { errors.push_back(std::move(status)); });
  std::vector<Entry> entries = EntryAt(1);
  applier->Apply(&entries);
  apply_loop.RunUntilIdle();
  machine.fails = true;
  entries = EntryAt(2);
  applier->Apply(&entries);
  apply_loop.RunUntilIdle();
  // The driver has not heard of it yet and hands over what was committed next.
  machine.fails = false;
  entries = EntryAt(3);
  applier->Apply(&entries);
  applier->WriteSnapshot("/nowhere", [](absl::StatusOr<SnapshotMeta>) { ADD_FAILURE(); });
  apply_loop.RunUntilIdle();
  loop.RunUntilIdle();
  EXPECT_EQ(machine.applied, (std::vector<Index>{1}));
  EXPECT_EQ(machine.snapshots, 0);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_TRUE(absl::IsDataLoss(errors[0]));
}

class SnapshotTest : public ::testing::Test {
 protected:
  SnapshotTest() {
    applier_->WriteSnapshot(
        dir_, [this](absl::StatusOr<SnapshotMeta> meta) { results_.push_back(meta.status()); });
    apply_loop_.RunUntilIdle();
    loop_.RunUntilIdle();
  }
  ~SnapshotTest() override { base::PosixFileSystem().RemoveAll(dir_).IgnoreError(); }

  void Answer(absl::Status status) {
    machine_.check(std::move(status));
    loop_.RunUntilIdle();
    apply_loop_.RunUntilIdle();
  }

  const std::string dir_ = ::testing::TempDir() + "/applier_test_snapshot";
  base::ManualLoop loop_, apply_loop_;
  Machine machine_;
  std::vector<absl::Status> errors_, results_;
  std::shared_ptr<Applier> applier_ = std::make_shared<Applier>(
      &machine_, &base::PosixFileSystem(), &loop_, &apply_loop_, AppliedState{},
      [](Index, const std::vector<ConfChange>&) {},
      [this](absl::Status status) { errors_.push_back(std::move(status)); });
};

TEST_F(SnapshotTest, IsOfferedOnceItIsChecked) {
  EXPECT_EQ(machine_.snapshots, 1);
  EXPECT_TRUE(results_.empty());
  Answer(absl::OkStatus());
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_TRUE(results_[0].ok());
  EXPECT_TRUE(errors_.empty());
}

TEST_F(SnapshotTest, ADamagedOneGoesToNobodyAndStopsTheMember) {
  Answer(absl::DataLossError("a damaged file"));
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_TRUE(absl::IsDataLoss(results_[0]));
  ASSERT_EQ(errors_.size(), 1u);
  EXPECT_TRUE(absl::IsDataLoss(errors_[0]));
  EXPECT_FALSE(base::PosixFileSystem().Exists(dir_));
}

TEST_F(SnapshotTest, OneThatCannotBeReadNowIsMadeAgain) {
  Answer(absl::UnavailableError("too many open files"));
  ASSERT_EQ(results_.size(), 1u);
  EXPECT_FALSE(results_[0].ok());
  EXPECT_TRUE(errors_.empty());
}

}  // namespace
}  // namespace keel::raft
