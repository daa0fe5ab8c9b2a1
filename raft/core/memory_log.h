// A log in memory behind the LogView contract: for tests and examples, and as
// the shortest statement of what a driver's log has to do.
//
//   MemoryLog log;
//   Ready ready = raft.TakeReady();
//   if (ready.snapshot) log.Restore(*ready.snapshot);
//   log.Append(ready.entries);
//
// Thread-safety: none.
#pragma once

#include <vector>

#include "raft/core/raft.h"

namespace keel::raft {

class MemoryLog : public LogView {
 public:
  Index FirstIndex() const override { return base_.index + 1; }
  Index LastIndex() const override { return base_.index + entries_.size(); }
  absl::StatusOr<Term> TermAt(Index index) const override;
  absl::StatusOr<std::vector<Entry>> Entries(Index low, Index high,
                                             uint64_t max_bytes) const override;
  absl::Status ReadEntries(Index low, Index high, uint64_t max_bytes,
                           std::vector<Entry>* entries) const override;
  absl::StatusOr<SnapshotMeta> Snapshot() const override;

  // Adds entries; the first replaces whatever stands at its index and after.
  // REQUIRES: contiguous, no gap to what is there, none compacted.
  void Append(const std::vector<Entry>& entries);
  // The log becomes empty, right behind the snapshot, which Snapshot() now offers.
  void Restore(const SnapshotMeta& snapshot);
  // Offers a snapshot to peers. REQUIRES: it covers entries that are here.
  void SetSnapshot(const SnapshotMeta& snapshot);
  // Drops entries up to `index`. REQUIRES: the snapshot covers them.
  void Compact(Index index);

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  struct Base {
    Index index = 0;
    Term term = 0;
  };
  Base base_;  // the entry before the first
  std::vector<Entry> entries_;
  SnapshotMeta snapshot_;
};

}  // namespace keel::raft
