// Snapshots that this member offers to followers whose next entry is no longer
// in the log: made on demand, kept while in use, and shared by all who need one.
//
// While one is offered the log must keep the entries after it (PinnedIndex):
// otherwise a follower would restore it only to need another.
//
// On the node's loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "raft/driver/applier.h"
#include "raft/transport/transport.h"

namespace keel::raft {

class OutgoingSnapshots : public std::enable_shared_from_this<OutgoingSnapshots> {
 public:
  using Report = std::function<void(NodeId peer, SnapshotStatus status)>;

  // Folders are made under `dir`. `keep` is how long one is kept after its last use.
  OutgoingSnapshots(std::shared_ptr<Applier> applier, Transport* transport, base::Loop* loop,
                    std::string dir, base::Duration keep, Report report);

  // For LogView::Snapshot: one that the entries from `first_index` on continue.
  // Otherwise starts making one and says Unavailable.
  absl::StatusOr<SnapshotMeta> Offer(Index first_index);
  // Streams the offered snapshot to message.to.
  void Send(Message message);
  // Whether none is offered or being made.
  bool Idle() const { return current_ == nullptr && !making_; }
  // Now and then: drops what is no longer in use.
  void Expire();
  // The log would like to drop entries that the offered one needs: it gives way
  // unless it is being sent, or was used a moment ago by who now wants those entries.
  void GiveWay();
  // Entries after this one must stay in the log; max when no snapshot needs any.
  Index PinnedIndex() const;

 private:
  struct Snapshot {
    SnapshotMeta meta;
    std::string dir;
    int sending = 0;
    base::TimePoint used;
  };

  void Drop();

  const std::shared_ptr<Applier> applier_;
  Transport* const transport_;
  base::Loop* const loop_;
  const std::string dir_;
  const base::Duration keep_;
  const Report report_;
  std::shared_ptr<Snapshot> current_;  // shared with the sends that read it
  bool making_ = false;
  base::TimePoint retry_after_{};  // after a failure
  uint64_t count_ = 0;
};

}  // namespace keel::raft
