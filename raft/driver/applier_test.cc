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
  absl::Status RestoreSnapshot(const std::string&, const SnapshotMeta&) override {
    return absl::OkStatus();
  }

  bool fails = false;
  int snapshots = 0;
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

}  // namespace
}  // namespace keel::raft
