// The log's side of a driver: what the core reads back, what of a Ready goes to
// disk and when, and what is not needed there any more.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/mutation.h"
#include "base/status.h"
#include "raft/driver/driver.h"

namespace keel::raft {

absl::StatusOr<std::vector<Entry>> Driver::Entries(Index low, Index high,
                                                   uint64_t max_bytes) const {
  std::vector<Entry> entries;
  KEEL_RETURN_IF_ERROR(ReadEntries(low, high, max_bytes, &entries));
  return entries;
}

absl::Status Driver::ReadEntries(Index low, Index high, uint64_t max_bytes,
                                 std::vector<Entry>* entries) const {
  absl::Status status = log_->ReadEntries(low, high, max_bytes, entries);
  if (absl::IsDataLoss(status)) {
    // After the core's call has ended.
    loop_->Post(
        [self = const_cast<Driver*>(this)->shared_from_this(), status] { self->Fail(status); });
  }
  return status;
}

absl::StatusOr<SnapshotMeta> Driver::Snapshot() const {
  return snapshots_->Offer(log_->FirstIndex());
}

void Driver::Hold(LogWrite write, Persisting persisting, std::optional<SnapshotMeta> snapshot) {
  Held& held = held_.emplace_back();
  if (snapshot) {
    write.reset = LogPoint{snapshot->index, snapshot->term};
    write.must_sync = true;
    if (const auto it = arrived_.find(snapshot->index); it != arrived_.end()) {
      held.snapshot_dir = std::move(it->second);
      arrived_.erase(it);
    }
    held.snapshot = std::move(snapshot);
  }
  held.write = std::move(write);
  held.persisting = std::move(persisting);
  if (!restoring_) RestoreNext();
}

void Driver::RestoreNext() {
  restoring_ = false;
  while (!held_.empty() && !held_.front().snapshot) {
    Held held = std::move(held_.front());
    held_.pop_front();
    Persist(std::move(held.write), std::move(held.persisting));
  }
  if (held_.empty()) return;
  restoring_ = true;
  const Held& first = held_.front();
  KEEL_CHECK(!first.snapshot_dir.empty(), "a snapshot without files index=", first.snapshot->index);
  base::Log().info("restoring snapshot index={} term={}", first.snapshot->index,
                   first.snapshot->term);
  applier_->Restore(first.snapshot_dir, *first.snapshot,
                    [weak = weak_from_this()](absl::Status status) {
                      const auto self = weak.lock();
                      if (!self || !self->running()) return;
                      if (!status.ok()) return self->Fail(std::move(status));
                      Held held = std::move(self->held_.front());
                      self->held_.pop_front();
                      self->applied_index.store(held.snapshot->index);
                      self->flushed_at_ = held.snapshot->index;
                      self->Persist(std::move(held.write), std::move(held.persisting));
                      self->RestoreNext();
                    });
}

void Driver::Persist(LogWrite write, Persisting persisting) {
  persisting_.push_back(std::move(persisting));
  // In the order of the calls, so it is known which one ended.
  log_->Append(std::move(write), [this] { OnPersisted(); });
}

void Driver::OnPersisted() {
  Persisting done = std::move(persisting_.front());
  persisting_.pop_front();
  if (!running()) return;
  if (!done.messages.empty()) transport_->Send(done.messages);
  core_->Persisted(done.ready_id);
  Ready spent;
  spent.persisted_messages = std::move(done.messages);
  core_->Recycle(std::move(spent));
  ScheduleTurn();
}

void Driver::OnApplied(Index last, const std::vector<ConfChange>& changes) {
  if (!running()) return;
  for (const ConfChange& change : changes) {
    const Status before = seat_.host != nullptr ? core_->GetStatus() : Status{};
    const ConfState conf = core_->ApplyConfChange(change);
    TellRemoved(before, conf);
  }
  core_->Applied(last);
  applied_index.store(last);
  if (last - flushed_at_ >= options_.snapshot_count) {
    flushed_at_ = last;
    applier_->Flush();
  }
  ScheduleTurn();
}

void Driver::TruncateLog() {
  if (truncating_ || restoring_) return;
  const Index applied = applied_index.load();
  if (log_->IndexWithin(options_.log_bytes_max / 2) > flushed_at_) {
    flushed_at_ = applied;
    applier_->Flush();
  }
  // Not for every entry: segments go as a whole anyway.
  const uint64_t step = std::max<uint64_t>(1, options_.snapshot_count / 4);
  const Index by_count = applied - std::min(applied, options_.catchup_entries);
  const Index by_bytes = std::min(applied, log_->IndexWithin(options_.log_bytes_max));
  const Index wanted = std::max(by_count, by_bytes);
  if (wanted < log_->FirstIndex() ||
      (by_bytes < log_->FirstIndex() && by_count < log_->FirstIndex() - 1 + step)) {
    return;
  }
  if (by_bytes > snapshots_->PinnedIndex()) snapshots_->GiveWay();
  truncating_ = true;
  applier_->GetDurableIndex([weak = weak_from_this(), wanted](Index durable) {
    const auto self = weak.lock();
    if (!self || !self->running()) return;
    self->truncating_ = false;
    if (self->restoring_) return;
    if (KEEL_MUTATION(kTruncateUndurable)) durable = wanted;
    const Index at = std::min({durable, wanted, self->snapshots_->PinnedIndex()});
    if (at < self->log_->FirstIndex()) return;
    base::Log().log(self->log_level(), "truncating raft log group={} index={}", self->seat_.group,
                    at);
    self->log_->Truncate(at);
  });
}

}  // namespace keel::raft
