// Outputs: what is to be sent, made durable and applied, and the way back.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutation.h"
#include "raft/core/raft_impl.h"

namespace keel::raft {

// Messages that depend only on the state are made here and not where the state
// changes: whatever came in since the last Ready shares one message a peer and
// one round of heartbeats.
void Raft::Impl::Flush() {
  FlushReads();
  if (role_ == Role::kLeader) {
    SendAppends();
  } else if (leader_ != kNoNode) {
    FlushForwards();
  }
}

// The end of what may be applied: committed, and durable here too.
Index Raft::Impl::Appliable() const {
  if (KEEL_MUTATION(kApplyUncommitted)) return log_.durable();
  if (KEEL_MUTATION(kApplyUnsynced) && !log_.restoring()) return commit_;
  return std::min(commit_, log_.durable());
}

bool Raft::Impl::HasCommitted() const { return handed_committed_ < Appliable(); }

bool Raft::Impl::HasReady() {
  Flush();
  return log_.HasPending() || !messages_.empty() || !persisted_messages_.empty() ||
         HasCommitted() || !reads_.empty() || !dropped_reads_.empty() ||
         CurrentHardState() != last_hard_state_ || CurrentSoftState() != last_soft_state_;
}

Ready Raft::Impl::TakeReady() {
  KEEL_CHECK(HasReady(), "TakeReady without HasReady");
  Ready ready;
  ready.id = next_ready_id_++;
  if (const SoftState soft = CurrentSoftState(); soft != last_soft_state_) {
    ready.soft_state = soft;
    last_soft_state_ = soft;
  }
  // Before the entries leave this memory: what is committed now was handed out earlier.
  TakeCommitted(&ready);
  if (log_.HasPending()) {
    ready.entries = spares_.Entries();
    ready.must_sync = log_.TakePending(ready.id, &ready.snapshot, &ready.entries);
  }
  // That a change of membership is committed must outlive a loss of power: members that knew it,
  // let those that it removes go, and forgot it could elect nobody without them.
  const bool changes_conf =
      std::any_of(ready.committed.begin(), ready.committed.end(),
                  [](const Entry& entry) { return entry.type == EntryType::kConfChange; });
  ready.must_sync |= changes_conf;
  if (const HardState hard = CurrentHardState(); hard != last_hard_state_ || changes_conf) {
    ready.must_sync |= (hard.term != last_hard_state_.term || hard.vote != last_hard_state_.vote) &&
                       !KEEL_MUTATION(kUnsyncedHardState);
    ready.hard_state = hard;
    last_hard_state_ = hard;
  }
  if (!messages_.empty()) ready.messages = std::exchange(messages_, spares_.Messages());
  if (!persisted_messages_.empty()) {
    ready.persisted_messages = std::exchange(persisted_messages_, spares_.Messages());
  }
  ready.reads = std::exchange(reads_, {});
  ready.dropped_reads = std::exchange(dropped_reads_, {});
  handed_out_.push_back(
      {.id = ready.id, .term = term_, .vote = vote_, .must_sync = ready.must_sync, .tick = ticks_});
  return ready;
}

void Raft::Impl::TakeCommitted(Ready* ready) {
  if (!HasCommitted()) return;
  const Index low = handed_committed_ + 1;
  const Index high = Appliable() + 1;
  ready->committed = spares_.Entries();
  const absl::Status read = log_.Slice(low, high, config_.max_committed_bytes, &ready->committed);
  KEEL_CHECK(read.ok(), "reading committed entries from ", low, ": ", read.message());
  handed_committed_ = ready->committed.back().index;
  KEEL_CHECK(handed_committed_ < high, "handed out=", handed_committed_, " high=", high);
  if (role_ != Role::kLeader) return;
  for (const Entry& entry : ready->committed) {
    if (entry.index >= term_start_) uncommitted_bytes_ -= entry.data->size();
  }
}

void Raft::Impl::Persisted(uint64_t ready_id) {
  KEEL_CHECK(!handed_out_.empty() && handed_out_.front().id == ready_id, "Persisted(", ready_id,
             ") out of order; next=", handed_out_.empty() ? 0 : handed_out_.front().id);
  const HandedOut ready = handed_out_.front();
  handed_out_.pop_front();
  if (std::optional<SnapshotMeta> snapshot = log_.Persisted(ready_id)) {
    applied_ = std::max(applied_, snapshot->index);
    // Not before: until now the driver may have been applying older entries,
    // changes of membership among them.
    if (!KEEL_MUTATION(kSnapshotWithoutConf)) SwitchConf(std::move(snapshot->conf));
  }
  if (role_ == Role::kCandidate && ready.term == term_ && ready.vote == id()) {
    RecordVote(id(), true);
  } else if (role_ == Role::kLeader) {
    if (Progress* self = Peer(id())) self->Advance(log_.durable());
    MaybeCommit();
  }
}

void Raft::Impl::Recycle(Ready ready) {
  spares_.Give(std::move(ready.messages));
  spares_.Give(std::move(ready.persisted_messages));
  spares_.Give(std::move(ready.entries));
  spares_.Give(std::move(ready.committed));
}

Message Raft::Impl::SpareMessage() {
  Message m;
  m.entries = spares_.Entries();
  return m;
}

void Raft::Impl::Applied(Index index) {
  KEEL_CHECK(index <= handed_committed_, "applied=", index, " but handed out only up to ",
             handed_committed_);
  if (index <= applied_) return;
  applied_ = index;
  while (!conf_entries_.empty() && conf_entries_.front() <= index) conf_entries_.pop_front();
  MaybeAutoLeave();
}

}  // namespace keel::raft
