// Watches the room that the store has left and raises etcd's NOSPACE alarm
// for this member before the disk is full; lowers it again when there is room.
//
// Room is short when the file system has less than the reserve free, when the
// store is larger than the quota, or when the store says that it cannot write.
// An alarm that a person raised through the API is left alone: the state knows
// which is which (MemberSpace in command.proto), so that a member lowers its own
// whenever it was proposed, by an earlier process too.
//
// A store that met the full disk is asked to flush again as soon as the disk has
// the reserve free, once a second, on a worker: RocksDB looks by itself only
// every few seconds, and not after every kind of failure.
//
// A writer faster than the clock is met by its bytes: each write that this
// member takes in spends a budget, a part of the room that was left at the last
// look, and when it is spent the next write looks again.
//
// Thread-safety: Admit from any thread, the rest on the server's loop.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "kvstore/server/context.h"
#include "kvstore/server/proposals.h"

namespace keel::kvstore {

class SpaceWatch {
 public:
  // `fs` outlives it.
  SpaceWatch(ServerContext* context, Proposals* proposals, base::FileSystem* fs);

  // Whether a write of `bytes` may be proposed: there is room, and no alarm stands.
  bool Admit(size_t bytes);

  // Looks, and proposes an alarm or its end; called every tick of the server.
  void Tick();

  uint64_t free_bytes() const { return free_bytes_.load(std::memory_order_relaxed); }

 private:
  // Empty when there is room, else why there is not. Sets the budget. `raised` widens the
  // bounds, so that the alarm does not flicker; `fresh` asks the store anew for its size.
  std::string Shortage(bool raised, bool fresh) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Propose(bool is_short);
  // Asks the store to go on, if it stopped for want of room and there is some.
  void ResumeStore();

  ServerContext* const context_;
  Proposals* const proposals_;
  base::FileSystem* const fs_;
  std::atomic<uint64_t> free_bytes_{0};
  std::atomic<int64_t> budget_{0};  // bytes that may be admitted before the next look
  std::atomic<bool> short_{false};  // seen here; the alarm is on its way

  base::Mutex mutex_;  // one look at a time

  bool proposing_ = false;
  bool resuming_ = false;
  base::TimePoint resumed_at_{};  // tried last
};

}  // namespace keel::kvstore
