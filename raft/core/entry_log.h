// The log as the core sees it: what the driver holds (LogView), then what was
// appended since the last Ready and is still to be handed out. It also knows
// which prefix of this log is durable.
//
//   log.Append(entries);                       // leader
//   log.Replace(entries);                      // follower: truncates what conflicts
//   log.TakePending(ready_id, &snapshot, &entries);
//   log.Persisted(ready_id);                   // durable() moves
//
// Durability under asynchronous storage: each hand-over is a write with a
// number, and writes become durable in order. A write vouches for the log up to
// its last entry only as long as nothing of it is replaced: Replace lowers what
// every write still on its way vouches for. So a write whose entries were
// overwritten meanwhile (same index, other term) never counts as durable for
// the entries that stand there now.
//
// While a snapshot is on its way to disk (restoring()), the log consists of the
// snapshot's last entry only and takes no entries.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "raft/core/queue.h"
#include "raft/core/raft.h"
#include "raft/core/types.h"

namespace keel::raft {

class EntryLog {
 public:
  // Everything that `view` holds now is durable. `view` must outlive this.
  explicit EntryLog(LogView* view);

  Index first_index() const;
  Index last_index() const { return last_index_; }
  Term last_term() const { return last_term_; }
  // The end of the durable prefix; 0 while a snapshot is on its way.
  Index durable() const { return durable_; }
  bool restoring() const { return snapshots_on_their_way_ > 0; }

  // Term of the entry at `index`, 0 for index 0. OutOfRange when compacted or beyond the end.
  absl::StatusOr<Term> TermAt(Index index) const;
  bool Matches(Index index, Term term) const;
  // Whether a log that ends in (index, term) is at least as new as this one (paper, 5.4.1).
  bool UpToDate(Index index, Term term) const;
  // The greatest index at or below `index` whose term is at most `term`, with
  // its own term (0 when it is compacted): where logs may meet.
  std::pair<Index, Term> ConflictByTerm(Index index, Term term) const;

  // Entries [low, high), at least one, then as many as fit `max_bytes`.
  // OutOfRange when compacted. REQUIRES: low < high <= last_index() + 1.
  // `*entries` is empty; it may have memory to spare.
  absl::Status Slice(Index low, Index high, uint64_t max_bytes, std::vector<Entry>* entries) const;

  // Adds one entry at the end. REQUIRES: !restoring().
  void Append(Entry entry);
  // Makes the log end in `entries`, dropping whatever stood at their first
  // index and after. REQUIRES: not empty, contiguous, !restoring(),
  // first_index() <= their first index <= last_index() + 1.
  // Leaves `entries` empty, with memory to spare.
  void Replace(std::vector<Entry>&& entries);
  // The log becomes the snapshot's last entry.
  void Restore(SnapshotMeta snapshot);

  // True when there is something to hand out.
  bool HasPending() const { return !pending_.empty() || pending_snapshot_.has_value(); }
  // Hands out what is pending as write `ready_id`. True if there was any. What
  // memory `*entries` had serves the entries to come.
  bool TakePending(uint64_t ready_id, std::optional<SnapshotMeta>* snapshot,
                   std::vector<Entry>* entries);
  // Everything handed out up to `ready_id` is durable. Returns the snapshot
  // that became so, if one did.
  std::optional<SnapshotMeta> Persisted(uint64_t ready_id);

 private:
  struct Write {
    uint64_t ready_id = 0;
    Index vouches = 0;  // the last index of the current log that this write makes durable
    std::optional<SnapshotMeta> snapshot;
  };

  // Entries from `index` on are about to be replaced.
  void Truncate(Index index);
  bool InPending(Index index) const { return !pending_.empty() && index >= pending_.front().index; }

  LogView* const view_;
  Index last_index_ = 0;
  Term last_term_ = 0;
  Index durable_ = 0;
  std::vector<Entry> pending_;  // the end of the log, not yet handed out
  std::optional<SnapshotMeta> pending_snapshot_;
  Queue<Write> writes_;             // handed out, not yet durable
  int snapshots_on_their_way_ = 0;  // pending or handed out
  size_t last_batch_ = 0;           // size of the last hand-over: what to reserve next
};

}  // namespace keel::raft
