// A StateMachine for state that fits in memory: it keeps the state, its index
// and the configuration in one file, and sends that file as the snapshot. What
// is left for the user is what the state is.
//
//   class Register final : public MemoryStateMachine {
//    public:
//     using MemoryStateMachine::MemoryStateMachine;
//     void ApplyCommand(const Entry& entry) override { value_ = *entry.data; }
//     std::string Save() const override { return value_; }
//     absl::Status Load(std::string_view saved) override {
//       value_ = saved;
//       return absl::OkStatus();
//     }
//    private:
//     std::string value_;
//   };
//   Register machine("/var/lib/x/state");   // then Node::Open(…, &machine)
//
// The file is written whole, atomically and synced (docs/formats/raft-saved-state.md):
// on the apply loop, every NodeOptions::snapshot_count entries, when a follower
// needs a snapshot, and at Node::Stop. A state of more than some megabytes
// wants a StateMachine of its own (raft/driver/state_machine.h).
//
// Thread-safety: everything runs on the node's apply loop; a reader elsewhere
// must post there.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "raft/driver/state_machine.h"

namespace keel::raft {

class MemoryStateMachine : public StateMachine {
 public:
  // `fs` null: PosixFileSystem(). The folder of `file` is created when missing.
  explicit MemoryStateMachine(std::string file, base::FileSystem* fs = nullptr);

  // Applies one proposal. Deterministic: the same entries give the same state
  // on every member. A command that makes no sense must be ignored by all alike.
  virtual void ApplyCommand(const Entry& entry) = 0;
  // The whole state as bytes, and back. Load replaces what is there; its error
  // (bytes it does not understand) stops the member.
  virtual std::string Save() const = 0;
  virtual absl::Status Load(std::string_view saved) = 0;

  // Where the state stands.
  const AppliedState& applied() const { return applied_; }

  // StateMachine.
  absl::StatusOr<AppliedState> Open() override;
  absl::Status Apply(std::span<const CommittedEntry> entries) override;
  Index DurableIndex() override { return durable_; }
  void Flush() override;
  absl::StatusOr<AppliedState> WriteSnapshot(const std::string& dir) override;
  absl::Status RestoreSnapshot(const std::string& dir, const SnapshotMeta& meta) override;

 private:
  absl::Status Write(const std::string& file) const;
  absl::Status Read(std::string_view bytes);

  const std::string file_;
  base::FileSystem& fs_;
  AppliedState applied_;
  Index durable_ = 0;
};

}  // namespace keel::raft
