// Watches the room that the store has left and raises etcd's NOSPACE alarm
// for this member before the disk is full; lowers it again when there is room.
//
// Room is short when the file system has less than the reserve free, when the
// store is larger than the quota, or when the store says that it cannot write.
// An alarm that a person raised through the API is left alone.
//
// Thread-safety: everything on the server's loop.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"
#include "kvstore/server/context.h"
#include "kvstore/server/proposals.h"

namespace keel::kvstore {

class SpaceWatch {
 public:
  // `fs` outlives it.
  SpaceWatch(ServerContext* context, Proposals* proposals, base::FileSystem* fs);

  // Looks, and proposes an alarm or its end; called every second or so.
  void Tick();

  uint64_t free_bytes() const { return free_bytes_; }

 private:
  // Empty when there is room, else why there is not. `raised` widens the
  // bounds, so that the alarm does not flicker.
  std::string Shortage(bool raised);
  void Propose(bool activate);

  ServerContext* const context_;
  Proposals* const proposals_;
  base::FileSystem* const fs_;
  uint64_t free_bytes_ = 0;
  bool looked_ = false;
  bool own_alarm_ = false;  // the alarm that stands is this watch's
  bool proposing_ = false;
};

}  // namespace keel::kvstore
