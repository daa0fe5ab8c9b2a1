#include "raft/driver/outgoing_snapshots.h"

#include <limits>

#include "base/log.h"
#include "base/strings.h"

namespace keel::raft {

namespace {
constexpr auto kRetry = std::chrono::seconds(1);
// How long who has just got a snapshot may take to ask for what follows.
constexpr auto kCatchUp = std::chrono::seconds(5);
}  // namespace

OutgoingSnapshots::OutgoingSnapshots(std::shared_ptr<Applier> applier, Transport* transport,
                                     base::Loop* loop, std::string dir, base::Duration keep,
                                     Report report)
    : applier_(std::move(applier)),
      transport_(transport),
      loop_(loop),
      dir_(std::move(dir)),
      keep_(keep),
      report_(std::move(report)) {}

absl::StatusOr<SnapshotMeta> OutgoingSnapshots::Offer(Index first_index) {
  if (current_ && current_->meta.index + 1 >= first_index) {
    current_->used = loop_->Now();
    return current_->meta;
  }
  if (!making_ && loop_->Now() >= retry_after_) {
    making_ = true;
    const std::string dir = base::StrCat(dir_, "/out-", ++count_);
    applier_->WriteSnapshot(dir, [weak = weak_from_this(), dir](absl::StatusOr<SnapshotMeta> meta) {
      const auto self = weak.lock();
      if (!self) return;
      self->making_ = false;
      if (!meta.ok()) {
        base::Log().warn("cannot write a snapshot error=\"{}\"", meta.status().ToString());
        self->retry_after_ = self->loop_->Now() + kRetry;
        return;
      }
      self->Drop();
      self->current_ =
          std::make_shared<Snapshot>(Snapshot{*std::move(meta), dir, 0, self->loop_->Now()});
      base::Log().info("wrote snapshot index={} path={}", self->current_->meta.index, dir);
    });
  }
  return absl::UnavailableError("a snapshot is being made");
}

void OutgoingSnapshots::Send(Message message) {
  const NodeId peer = message.to;
  if (!current_ || current_->meta.index != message.snapshot.index) {
    // Replaced since the core was offered it.
    loop_->Post([weak = weak_from_this(), peer] {
      if (const auto self = weak.lock()) self->report_(peer, SnapshotStatus::kFailed);
    });
    return;
  }
  ++current_->sending;
  transport_->SendSnapshot(
      std::move(message), current_->dir,
      [weak = weak_from_this(), snapshot = current_, peer](absl::Status status) {
        const auto self = weak.lock();
        if (!self) return;
        --snapshot->sending;
        snapshot->used = self->loop_->Now();
        if (snapshot != self->current_ && snapshot->sending == 0) {
          self->applier_->RemoveFolder(snapshot->dir);
        }
        self->report_(peer, status.ok() ? SnapshotStatus::kFinished : SnapshotStatus::kFailed);
      });
}

void OutgoingSnapshots::Expire() {
  if (current_ && current_->sending == 0 && loop_->Now() - current_->used > keep_) Drop();
}

void OutgoingSnapshots::GiveWay() {
  if (current_ && current_->sending == 0 && loop_->Now() - current_->used > kCatchUp) Drop();
}

void OutgoingSnapshots::Drop() {
  // One that is still being sent goes when that ends.
  if (current_ && current_->sending == 0) applier_->RemoveFolder(current_->dir);
  current_ = nullptr;
}

Index OutgoingSnapshots::PinnedIndex() const {
  return current_ ? current_->meta.index : std::numeric_limits<Index>::max();
}

}  // namespace keel::raft
