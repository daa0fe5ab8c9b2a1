#include "raft/core/memory_log.h"

#include <algorithm>

#include "base/check.h"

namespace keel::raft {

absl::StatusOr<Term> MemoryLog::TermAt(Index index) const {
  if (index == base_.index) return base_.term;
  if (index < base_.index || index > LastIndex()) {
    return absl::OutOfRangeError(base::StrCat("no entry ", index));
  }
  return entries_[index - FirstIndex()].term;
}

absl::StatusOr<std::vector<Entry>> MemoryLog::Entries(Index low, Index high,
                                                      uint64_t max_bytes) const {
  std::vector<Entry> entries;
  const absl::Status status = ReadEntries(low, high, max_bytes, &entries);
  if (!status.ok()) return status;
  return entries;
}

absl::Status MemoryLog::ReadEntries(Index low, Index high, uint64_t max_bytes,
                                    std::vector<Entry>* entries) const {
  if (low < FirstIndex() || low >= high || high > LastIndex() + 1) {
    return absl::OutOfRangeError(base::StrCat("no entries [", low, ", ", high, ")"));
  }
  uint64_t bytes = 0;
  for (Index index = low; index < high; ++index) {
    const Entry& entry = entries_[index - FirstIndex()];
    bytes += entry.data->size();
    if (!entries->empty() && bytes > max_bytes) break;
    entries->push_back(entry);
  }
  return absl::OkStatus();
}

absl::StatusOr<SnapshotMeta> MemoryLog::Snapshot() const {
  if (snapshot_.empty()) return absl::UnavailableError("no snapshot yet");
  return snapshot_;
}

void MemoryLog::Append(const std::vector<Entry>& entries) {
  if (entries.empty()) return;
  const Index from = entries.front().index;
  KEEL_CHECK(from >= FirstIndex() && from <= LastIndex() + 1, "from=", from,
             " first=", FirstIndex(), " last=", LastIndex());
  entries_.resize(from - FirstIndex());
  for (const Entry& entry : entries) {
    KEEL_CHECK(entry.index == LastIndex() + 1, "index=", entry.index, " last=", LastIndex());
    entries_.push_back(entry);
  }
}

void MemoryLog::Restore(const SnapshotMeta& snapshot) {
  base_ = {snapshot.index, snapshot.term};
  entries_.clear();
  snapshot_ = snapshot;
}

void MemoryLog::SetSnapshot(const SnapshotMeta& snapshot) {
  KEEL_CHECK(snapshot.index >= base_.index && snapshot.index <= LastIndex(),
             "snapshot=", snapshot.index, " first=", FirstIndex(), " last=", LastIndex());
  snapshot_ = snapshot;
}

void MemoryLog::Compact(Index index) {
  KEEL_CHECK(index <= snapshot_.index, "index=", index, " snapshot=", snapshot_.index);
  if (index <= base_.index) return;
  const Term term = *TermAt(index);
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(index - base_.index));
  base_ = {index, term};
}

}  // namespace keel::raft
