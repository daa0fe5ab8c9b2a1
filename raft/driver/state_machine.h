// What a user of keel::raft brings: the replicated state machine.
//
// All methods are called on the node's apply loop, one at a time. Apply must
// be deterministic: the same entries give the same state on every member.
//
// Durability is the state machine's own: the Raft log keeps every entry after
// DurableIndex(), and replays from AppliedState() after a restart, so Apply
// need not sync. It must save the index (and ConfState) it reached in one
// atomic step with the effects.
#pragma once

#include <span>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "raft/core/types.h"

namespace keel::raft {

// Where a state machine stands: the last entry whose effects it holds.
struct AppliedState {
  Index index = 0;
  Term term = 0;
  ConfState conf;  // empty on a first start
};

// One committed entry on its way to the state machine.
struct CommittedEntry {
  Entry entry;
  // kConfChange only: the decoded change and the configuration it leads to.
  // The state machine may refuse the change (AcceptConfChange); then
  // `conf_after` is the configuration before it.
  ConfChange change;
  ConfState conf_after;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // What survived: called once before anything else.
  virtual absl::StatusOr<AppliedState> Open() = 0;

  // Applies entries in order, without gaps. Empty payloads (a new leader's
  // first entry) only move the index. An error stops the member: it means the
  // disk failed, never that a command was invalid.
  virtual absl::Status Apply(std::span<const CommittedEntry> entries) = 0;

  // Whether a committed membership change is valid here; deterministic. Called
  // before Apply of that entry, after Apply of all earlier ones.
  virtual bool AcceptConfChange(const Entry& entry, const ConfChange& change) { return true; }

  // The last index whose effects are on disk: the log may drop what lies at or
  // below it.
  virtual Index DurableIndex() = 0;
  // Starts making everything applied durable, in the background.
  virtual void Flush() = 0;

  // Writes a snapshot as files into the empty folder `dir` and returns what it
  // covers. Must not stop Apply for long (hard links, not copies).
  virtual absl::StatusOr<AppliedState> WriteSnapshot(const std::string& dir) = 0;
  // Reads the snapshot that WriteSnapshot has written into `dir` and calls `done`, on any thread
  // and beside the other methods: OK, or what is wrong with it; DataLoss, which names the file,
  // when the disk has damaged it: then the member stops, and hands its damage to nobody. Of a
  // snapshot whose files are shared with the state, as links are, nothing else would notice. `done`
  // is not called once the state machine is gone.
  virtual void CheckSnapshot(const std::string& dir, absl::AnyInvocable<void(absl::Status)> done) {
    done(absl::OkStatus());
  }
  // Replaces all state by the snapshot in `dir` (files may be moved out of it),
  // atomically with respect to crashes.
  virtual absl::Status RestoreSnapshot(const std::string& dir, const SnapshotMeta& meta) = 0;
};

}  // namespace keel::raft
