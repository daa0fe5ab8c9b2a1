// The apply side of a node: everything that calls the user's StateMachine,
// and the reads that wait for it.
//
// Methods may be called on the node's loop only; the state machine is called
// on the apply loop only; callbacks come on the node's loop. The hand-over is
// by tasks, each of which carries whatever queued up since the last one; in a
// steady state it allocates nothing.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "base/loop.h"
#include "raft/core/raft.h"
#include "raft/driver/state_machine.h"

namespace keel::raft {

using ReadDone = absl::AnyInvocable<void(absl::StatusOr<Index>)>;

class Applier : public std::enable_shared_from_this<Applier> {
 public:
  // Entries up to `last` are applied, and these changes of membership took effect.
  using OnApplied = std::function<void(Index last, const std::vector<ConfChange>& changes)>;
  using OnError = std::function<void(absl::Status)>;

  // `applied` is where the state machine stands, with its configuration.
  Applier(StateMachine* state_machine, base::FileSystem* fs, base::Loop* loop,
          base::Loop* apply_loop, AppliedState applied, OnApplied on_applied, OnError on_error);

  // Takes the entries; the list comes back empty, with memory to spare.
  void Apply(std::vector<Entry>* entries);
  // Answers once `index` is applied.
  void Read(Index index, std::vector<ReadDone> reads);
  void FailReads(std::vector<ReadDone> reads, absl::Status status);
  // Writes a snapshot into the new folder `dir` and has it checked.
  void WriteSnapshot(std::string dir, std::function<void(absl::StatusOr<SnapshotMeta>)> done);
  // Replaces the state by the snapshot in `dir`, then removes the folder.
  void Restore(std::string dir, SnapshotMeta meta, std::function<void(absl::Status)> done);
  // Starts making what is applied durable.
  void Flush();
  void GetDurableIndex(std::function<void(Index)> done);
  void RemoveFolder(std::string dir);
  // Fails all reads that wait, flushes, then calls `done` on the apply loop;
  // the state machine is not called any more.
  void Stop(std::function<void()> done);
  // The state machine is not called any more. Any thread; only waits for nothing.
  void Abandon() { stopped_.store(true); }

 private:
  struct WaitingRead {
    Index index;
    ReadDone done;
  };

  // On the apply loop.
  void ApplyQueued();
  absl::Status ApplyEntries();
  absl::Status ApplyRun(size_t count);
  void ReportApplied();
  void AnswerReads();
  void Fail(absl::Status status);
  void ToLoop(base::Task task) { loop_->Post(std::move(task)); }

  StateMachine* const state_machine_;
  base::FileSystem& fs_;
  base::Loop* const loop_;
  base::Loop* const apply_loop_;
  const OnApplied on_applied_;
  const OnError on_error_;
  std::atomic<bool> stopped_{false};

  std::mutex mu_;
  std::vector<Entry> queued_;        // guarded by mu_
  bool apply_scheduled_ = false;     // guarded by mu_
  Index done_index_ = 0;             // guarded by mu_; to be reported
  std::vector<ConfChange> done_;     // guarded by mu_; likewise
  bool report_scheduled_ = false;    // guarded by mu_
  std::vector<ConfChange> changes_;  // of ReportApplied, on the node's loop

  // On the apply loop. The lists keep their memory.
  AppliedState applied_;
  bool failed_ = false;  // to apply: nothing more is
  std::vector<Entry> applying_;
  std::vector<CommittedEntry> run_;
  std::deque<WaitingRead> waiting_;  // by index
};

}  // namespace keel::raft
