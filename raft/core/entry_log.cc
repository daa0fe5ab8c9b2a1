#include "raft/core/entry_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"

namespace keel::raft {
namespace {

absl::Status OutOfRange(Index index) {
  return absl::OutOfRangeError(base::StrCat("no entry ", index));
}

}  // namespace

EntryLog::EntryLog(LogView* view) : view_(view), last_index_(view->LastIndex()) {
  KEEL_CHECK(view->FirstIndex() >= 1 && last_index_ + 1 >= view->FirstIndex(),
             "first=", view->FirstIndex(), " last=", last_index_);
  if (last_index_ > 0) {
    absl::StatusOr<Term> term = view->TermAt(last_index_);
    KEEL_CHECK(term.ok(), "the log has no term for its last entry ", last_index_);
    last_term_ = *term;
  }
  durable_ = last_index_;
}

Index EntryLog::first_index() const { return restoring() ? last_index_ + 1 : view_->FirstIndex(); }

absl::StatusOr<Term> EntryLog::TermAt(Index index) const {
  if (index == last_index_) return last_term_;
  if (index > last_index_) return OutOfRange(index);
  if (index == 0) return Term{0};
  if (restoring()) return OutOfRange(index);
  if (InPending(index)) return pending_[index - pending_.front().index].term;
  return view_->TermAt(index);
}

bool EntryLog::Matches(Index index, Term term) const {
  if (index > last_index_) return false;  // the usual case of a follower: no error to build
  const absl::StatusOr<Term> mine = TermAt(index);
  return mine.ok() && *mine == term;
}

bool EntryLog::UpToDate(Index index, Term term) const {
  return term > last_term_ || (term == last_term_ && index >= last_index_);
}

std::pair<Index, Term> EntryLog::ConflictByTerm(Index index, Term term) const {
  for (index = std::min(index, last_index_); index > 0; --index) {
    const absl::StatusOr<Term> mine = TermAt(index);
    // Compacted: nothing more is known, and what is compacted is committed.
    if (!mine.ok()) return {index, 0};
    if (*mine <= term) return {index, *mine};
  }
  return {0, 0};
}

absl::Status EntryLog::Slice(Index low, Index high, uint64_t max_bytes,
                             std::vector<Entry>* entries) const {
  KEEL_CHECK(entries->empty());
  KEEL_CHECK(low < high && high <= last_index_ + 1, "low=", low, " high=", high,
             " last=", last_index_);
  if (restoring()) return OutOfRange(low);
  uint64_t bytes = 0;
  if (!InPending(low)) {
    const Index end = pending_.empty() ? high : std::min(high, pending_.front().index);
    const absl::Status read = view_->ReadEntries(low, end, max_bytes, entries);
    if (!read.ok()) return read;
    KEEL_CHECK(!entries->empty() && entries->front().index == low, "low=", low);
    if (entries->back().index + 1 < end || end == high) return absl::OkStatus();
    for (const Entry& entry : *entries) bytes += entry.data->size();
    low = end;
  }
  const Index offset = pending_.front().index;
  size_t count = 0;
  while (low + count < high) {
    bytes += pending_[low + count - offset].data->size();
    if (bytes > max_bytes && !(count == 0 && entries->empty())) break;
    ++count;
  }
  const auto begin = pending_.begin() + static_cast<ptrdiff_t>(low - offset);
  entries->insert(entries->end(), begin, begin + static_cast<ptrdiff_t>(count));
  return absl::OkStatus();
}

void EntryLog::Append(Entry entry) {
  KEEL_CHECK(!restoring());
  KEEL_CHECK(entry.index == last_index_ + 1 && entry.term >= last_term_, "index=", entry.index,
             " term=", entry.term, " last=", last_index_, " term of last=", last_term_);
  if (pending_.empty()) pending_.reserve(last_batch_);
  last_index_ = entry.index;
  last_term_ = entry.term;
  pending_.push_back(std::move(entry));
}

void EntryLog::Replace(std::vector<Entry>&& entries) {
  KEEL_CHECK(!restoring() && !entries.empty());
  const Index from = entries.front().index;
  KEEL_CHECK(from <= last_index_ + 1 && from >= view_->FirstIndex(), "from=", from,
             " last=", last_index_, " first=", view_->FirstIndex());
  if (from <= last_index_) Truncate(from);
  last_index_ = entries.back().index;
  last_term_ = entries.back().term;
  if (pending_.empty()) {
    pending_.swap(entries);
  } else {
    pending_.insert(pending_.end(), std::make_move_iterator(entries.begin()),
                    std::make_move_iterator(entries.end()));
    entries.clear();
  }
}

void EntryLog::Truncate(Index index) {
  if (!KEEL_MUTATION(kTruncateKeepsDurable)) {
    durable_ = std::min(durable_, index - 1);
    for (Write& write : writes_) write.vouches = std::min(write.vouches, index - 1);
  }
  if (InPending(index)) {
    pending_.resize(index - pending_.front().index);
  } else {
    pending_.clear();
  }
}

void EntryLog::Restore(SnapshotMeta snapshot) {
  KEEL_CHECK(!snapshot.empty());
  durable_ = 0;
  for (Write& write : writes_) write.vouches = 0;
  pending_.clear();
  last_index_ = snapshot.index;
  last_term_ = snapshot.term;
  if (!pending_snapshot_.has_value()) ++snapshots_on_their_way_;
  pending_snapshot_ = std::move(snapshot);
}

bool EntryLog::TakePending(uint64_t ready_id, std::optional<SnapshotMeta>* snapshot,
                           std::vector<Entry>* entries) {
  if (!HasPending()) return false;
  // What earlier Readys handed out is read back through the view from now on.
  // (It may reach further: into what is about to be replaced.)
  KEEL_CHECK(restoring() || view_->LastIndex() + pending_.size() >= last_index_,
             "the LogView does not hold what Ready handed out: it ends at ", view_->LastIndex(),
             ", entries were handed out up to ", last_index_ - pending_.size());
  writes_.push_back({.ready_id = ready_id, .vouches = last_index_, .snapshot = pending_snapshot_});
  *snapshot = std::exchange(pending_snapshot_, std::nullopt);
  last_batch_ = pending_.size();
  entries->swap(pending_);
  pending_.clear();
  return true;
}

std::optional<SnapshotMeta> EntryLog::Persisted(uint64_t ready_id) {
  std::optional<SnapshotMeta> snapshot;
  while (!writes_.empty() && writes_.front().ready_id <= ready_id) {
    Write& write = writes_.front();
    if (write.snapshot.has_value()) {
      snapshot = std::move(write.snapshot);
      --snapshots_on_their_way_;
    }
    durable_ = std::max(durable_, write.vouches);
    writes_.pop_front();
  }
  KEEL_CHECK(durable_ <= last_index_, "durable=", durable_, " last=", last_index_);
  return snapshot;
}

}  // namespace keel::raft
