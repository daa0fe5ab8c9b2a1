// Automatic compaction (--auto-compaction-mode, --auto-compaction-retention):
// the leader compacts what is older than a time, or than a number of revisions.
//
// Every member remembers which revision was current when, so that a new leader
// can go on; only the leader proposes. Source of the periods: etcd, v3compactor.
//
// Thread-safety: everything on the server's loop.
#pragma once

#include <cstdint>
#include <deque>

#include "kvstore/server/context.h"
#include "kvstore/server/proposals.h"

namespace keel::kvstore {

class AutoCompactor {
 public:
  AutoCompactor(ServerContext* context, Proposals* proposals);

  // Called every second or so; does something every tenth of the retention.
  void Tick();

 private:
  void Compact(int64_t revision);

  ServerContext* const context_;
  Proposals* const proposals_;
  base::Duration interval_{};  // 0: off
  base::TimePoint next_{};
  struct Sample {
    base::TimePoint at;
    int64_t revision;
  };
  std::deque<Sample> samples_;
  int64_t last_revision_ = 0;
};

}  // namespace keel::kvstore
