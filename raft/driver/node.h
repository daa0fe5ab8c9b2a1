// A running Raft member: joins the core, the log on disk, the transport to the
// peers and a user's StateMachine.
//
//   NodeOptions options;
//   options.id = 1;
//   options.loop = &loop;            // owns the core
//   options.apply_loop = &apply;     // runs the state machine; may be the same
//   options.log_dir = "/var/lib/x/log";
//   options.initial_conf.voters = {1, 2, 3};   // first start only
//   KEEL_ASSIGN_OR_RETURN(auto node, Node::Open(options, &transport, &state_machine));
//   node->Propose(payload, [](absl::Status refused) { ... });
//   node->ReadIndex([](absl::StatusOr<Index> index) { ... serve the read ... });
//   node->Stop();
//
// Threads: `loop` owns the core, `apply_loop` the state machine, and one
// writer thread (LogWriter) the log; nothing is shared under a lock. Every
// hand-over carries whatever queued up since the last one.
// Thread-safety: Propose, ReadIndex, TransferLeadership, ProposeConfChange and
// the getters may be called from any thread; callbacks run on `loop`, except
// where said otherwise.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "base/loop.h"
#include "raft/core/raft.h"
#include "raft/driver/state_machine.h"
#include "raft/transport/transport.h"

namespace keel::raft {

// Sees what the core does, for simulations and traces: before it is acted upon,
// and without a say in it. On `loop`.
class NodeObserver {
 public:
  virtual ~NodeObserver() = default;
  // The core is about to be made from what `log` and `hard_state` hold.
  virtual void OnStart(const LogView& log, const HardState& hard_state, const ConfState& conf,
                       Index applied) = 0;
  virtual void OnReady(const Ready& ready, Term term) = 0;
};

struct NodeOptions {
  NodeId id = kNoNode;
  base::Loop* loop = nullptr;
  base::Loop* apply_loop = nullptr;
  // Runs blocking log writes; null: a thread of the node's own.
  base::Loop* log_loop = nullptr;
  base::FileSystem* fs = nullptr;  // null: PosixFileSystem()
  std::string log_dir;
  std::string snapshot_dir;  // for snapshots on their way in and out

  // Who the log belongs to; a log of another cluster or member is refused.
  uint64_t cluster_id = 0;
  ConfState initial_conf;  // used when the log is empty; empty: join and wait

  base::Duration tick = std::chrono::milliseconds(100);
  uint64_t election_ticks = 10;
  uint64_t heartbeat_ticks = 1;
  uint64_t random_seed = 0;  // 0: from the system
  bool lease_reads = false;

  // Entries applied between two truncations of the log, and how many are kept
  // beyond that for slow followers (etcd: --snapshot-count, --snapshot-catchup-entries).
  uint64_t snapshot_count = 10000;
  uint64_t catchup_entries = 5000;
  // The same in bytes of log, whichever is less: large entries count for more.
  uint64_t log_bytes_max = 1ull << 30;
  uint64_t segment_bytes = 64ull << 20;
  uint64_t log_memory_bytes = 32ull << 20;      // newest entries kept in memory; others are read
  uint64_t max_uncommitted_bytes = 1ull << 30;  // of proposals; beyond: ResourceExhausted

  // What may be on its way to one peer and not yet acknowledged: kAppend messages, and
  // bytes of entries in them (one message may overshoot). More fill a longer line.
  uint64_t max_message_bytes = 1ull << 20;
  uint64_t max_inflight_messages = 256;
  uint64_t max_inflight_bytes = 64ull << 20;
  // A campaign asks first whether it could win, so that a member that was cut off does not
  // depose a leader (thesis, 9.6).
  bool pre_vote = true;
  // A leader that hears from no quorum for an election timeout steps down. Without
  // it no lease_reads.
  bool check_quorum = true;

  // The member cannot go on (failed fsync, damaged log, failed apply). Called
  // once, on `loop`; afterwards the node does nothing any more.
  std::function<void(absl::Status)> on_fatal;
  // Leader, role or term changed. On `loop`.
  std::function<void(const SoftState&, Term)> on_state_change;
  // A user payload from a peer (Transport::SendUser). On `loop`.
  std::function<void(NodeId from, std::string payload)> on_user_message;
  // A peer says that this member was removed at `index`, and nothing that this member has applied
  // contradicts that: it missed it. Perhaps more than once. On `loop`.
  std::function<void(NodeId from, Index index)> on_removed;
  // A sync of the log took this long. On the log's thread; for metrics.
  std::function<void(base::Duration)> on_log_sync;
  NodeObserver* observer = nullptr;  // outlives the node
};

class Node {
 public:
  // Opens or creates the log, opens the state machine, replays what is
  // committed and starts ticking. Blocks; call before the loops matter.
  // Errors: InvalidArgument for options that contradict each other; DataLoss for a damaged log,
  // with file, offset and what to do; FailedPrecondition for a log of another cluster or member;
  // Unavailable when another process holds it.
  static absl::StatusOr<std::unique_ptr<Node>> Open(NodeOptions options, Transport* transport,
                                                    StateMachine* state_machine);
  virtual ~Node() = default;

  // Proposes an entry; on a follower it goes to the leader. `refused` is called
  // only when it certainly was not accepted here (Unavailable: no leader;
  // ResourceExhausted: too much uncommitted). Otherwise the state machine sees
  // it, or nobody ever does: callers keep a time limit of their own.
  virtual void Propose(Payload data, absl::AnyInvocable<void(absl::Status)> refused) = 0;
  virtual void ProposeConfChange(ConfChange change,
                                 absl::AnyInvocable<void(absl::Status)> refused) = 0;

  // Calls back, on the apply loop, once the state machine holds everything that was
  // committed when this was called: a read of it is then linearizable. All
  // requests that queue while one round runs share the next one. Errors:
  // Unavailable when the leader is lost or unknown; the caller may retry.
  virtual void ReadIndex(absl::AnyInvocable<void(absl::StatusOr<Index>)> done) = 0;

  virtual void TransferLeadership(NodeId to, absl::AnyInvocable<void(absl::Status)> done) = 0;

  // Snapshot of the core's state, at most one loop turn old. Any thread.
  virtual NodeId leader() const = 0;
  virtual Term term() const = 0;
  virtual Role role() const = 0;
  virtual Index commit_index() const = 0;
  virtual Index applied_index() const = 0;
  // The core's full status, on `loop`.
  virtual void GetStatus(absl::AnyInvocable<void(Status)> done) = 0;

  // Hands leadership over if this member leads and another can (waits at most
  // `transfer_limit`), then stops ticking, flushes the state machine, closes the log. Blocks;
  // not on one of the loops. Nothing is called back afterwards.
  virtual void Stop(base::Duration transfer_limit) = 0;
};

}  // namespace keel::raft
