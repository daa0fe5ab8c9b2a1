// The simplest state machine with a disk: counts what it applied and keeps a
// hash of all of it. For runs that are about Raft alone, and fast.
//
// As any: the methods of raft::StateMachine on the apply loop.
#pragma once

#include <functional>
#include <string>

#include "base/file.h"
#include "raft/driver/state_machine.h"

namespace keel::sim {

class ListMachine final : public raft::StateMachine {
 public:
  ListMachine(base::FileSystem* fs, std::string path) : fs_(*fs), path_(std::move(path)) {}

  absl::StatusOr<raft::AppliedState> Open() override;
  absl::Status Apply(std::span<const raft::CommittedEntry> entries) override;
  raft::Index DurableIndex() override { return durable_; }
  void Flush() override;
  absl::StatusOr<raft::AppliedState> WriteSnapshot(const std::string& dir) override;
  absl::Status RestoreSnapshot(const std::string& dir, const raft::SnapshotMeta& meta) override;

  // Of everything applied; equal on members at an equal index.
  uint64_t hash() const { return hash_; }
  const raft::AppliedState& applied() const { return applied_; }

  // After each Apply, for each of its entries.
  std::function<void(const raft::CommittedEntry& entry)> on_applied;

 private:
  std::string Encode() const;
  absl::Status Decode(const std::string& bytes, const std::string& path);

  base::FileSystem& fs_;
  const std::string path_;
  raft::AppliedState applied_;
  uint64_t hash_ = 0;
  raft::Index durable_ = 0;
};

}  // namespace keel::sim
