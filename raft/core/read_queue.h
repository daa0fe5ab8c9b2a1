// Linearizable reads without a log write (thesis, section 6.4).
//
// On a leader: requests wait until a round of heartbeats can start; one round
// confirms leadership for all that had queued by then. The next round starts
// when this one ends, with whatever queued meanwhile.
//
// On a follower: requests are forwarded together, as one request with an id
// of its own, and answered together.
//
// A request that cannot be answered ends in dropped().
#pragma once

#include <cstdint>
#include <vector>

#include "raft/core/raft.h"
#include "raft/core/types.h"

namespace keel::raft {

// A request at the leader: its own (from == its id) or a follower's batch.
struct ReadRequest {
  NodeId from = kNoNode;
  uint64_t context = 0;
};

class LeaderReads {
 public:
  bool waiting() const { return !waiting_.empty(); }
  bool running() const { return !running_.empty(); }

  void Add(ReadRequest request) { waiting_.push_back(request); }
  // All that waits goes into round `round`. REQUIRES: waiting() && !running().
  void Start(uint64_t round, Index index);
  // A quorum has answered round `round`: takes what it confirms, empty if
  // nothing, and the index at which to serve it.
  std::vector<ReadRequest> Confirm(uint64_t round, Index* index);
  // Everything waiting, without a round.
  std::vector<ReadRequest> TakeWaiting();
  // Everything, on losing leadership.
  std::vector<ReadRequest> TakeAll();

 private:
  std::vector<ReadRequest> waiting_;
  std::vector<ReadRequest> running_;
  uint64_t round_ = 0;
  Index index_ = 0;
};

class FollowerReads {
 public:
  // `first_id` must differ between the lives of a process: a late answer to an
  // earlier life would carry an index too low for this one.
  explicit FollowerReads(uint64_t first_id) : next_id_(first_id) {}

  bool waiting() const { return !waiting_.empty(); }

  void Add(uint64_t context) { waiting_.push_back(context); }
  // Everything waiting becomes one request, sent at `tick`. Returns its id.
  // REQUIRES: waiting().
  uint64_t Send(uint64_t tick);
  // The answer to `id`: the contexts it was for, empty if it is not outstanding.
  std::vector<uint64_t> Take(uint64_t id);
  // Requests sent at or before `tick`: their message was lost.
  std::vector<uint64_t> TakeOld(uint64_t tick);
  std::vector<uint64_t> TakeAll();

 private:
  struct Batch {
    uint64_t id = 0;
    uint64_t tick = 0;
    std::vector<uint64_t> contexts;
  };

  uint64_t next_id_;
  std::vector<uint64_t> waiting_;
  std::vector<Batch> sent_;  // oldest first
};

// When heartbeat rounds were sent, as far back as a lease could reach.
class RoundClock {
 public:
  void Clear() { marks_.clear(); }
  // Round `round` starts at `tick`; marks older than `horizon` ticks are forgotten.
  void Mark(uint64_t round, uint64_t tick, uint64_t horizon);
  // The tick in which `round` was sent; 0 when forgotten.
  uint64_t SentAt(uint64_t round) const;

 private:
  struct FirstOfTick {
    uint64_t round = 0;
    uint64_t tick = 0;
  };
  std::vector<FirstOfTick> marks_;  // ascending
};

}  // namespace keel::raft
