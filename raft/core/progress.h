// What a leader knows of one peer and may send to it (thesis, section 10.2.1;
// etcd-io/raft, tracker).
//
// States:
//   kProbe      where the logs meet is not known: one kAppend, then wait for
//               an answer (or for the next heartbeat to be answered)
//   kReplicate  the logs meet at `match`: kAppends are pipelined, `next` runs ahead
//   kSnapshot   the entries wanted are compacted: a snapshot is on its way
//
// Invariants: match < next; in kReplicate the window covers (match, next).
#pragma once

#include "raft/core/inflights.h"
#include "raft/core/raft.h"
#include "raft/core/types.h"

namespace keel::raft {

struct Progress {
  using State = PeerProgress::State;

  Progress(NodeId peer, bool is_learner, Index next_index, const Config& config)
      : id(peer),
        learner(is_learner),
        next(next_index),
        window(config.max_inflight_messages, config.max_inflight_bytes) {}

  NodeId id = kNoNode;
  bool learner = false;
  State state = State::kProbe;
  Index match = 0;
  Index next = 1;
  Index pending_snapshot = 0;    // kSnapshot: the index of the one on its way
  bool probe_sent = false;       // kProbe: waiting for an answer
  bool recently_active = false;  // heard from since the last check of the quorum
  bool needs_snapshot = false;   // it joins without a configuration: entries cannot give it one
  bool ping = false;             // kReplicate: owe a kAppend even if empty, to find lost ones
  uint64_t ping_tick = 0;        // when the last ping was asked for
  Index sent_commit = 0;         // the newest commit index it was told
  uint64_t acked_round = 0;      // the newest heartbeat round answered
  uint64_t told_round = 0;       // the first heartbeat round that told it of retire_index_
  uint64_t match_round = 0;      // the newest heartbeat round sent when `match` last moved
  Inflights window;

  // The peer has everything up to `index`. True if that was news.
  bool Advance(Index index);

  // The peer refused the kAppend whose previous entry was `rejected`; it says
  // the logs may meet at `hint`. Leaves kReplicate. False if the answer is stale.
  bool Retreat(Index rejected, Index hint);

  void BecomeProbe();
  void BecomeReplicate();
  void BecomeSnapshot(Index snapshot_index);

  // A kAppend with entries up to `last` was sent. REQUIRES: last + 1 >= next.
  void Sent(Index last, uint64_t bytes);

  // The start of a leader's term: nothing is known of the peer.
  void Reset(Index next_index);

  PeerProgress View() const;
};

}  // namespace keel::raft
