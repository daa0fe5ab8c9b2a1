// The Raft core: a deterministic state machine without I/O, clock, thread or
// global randomness. Inputs go in through Step, Tick, Propose, ReadIndex,
// ProposeConfChange and TransferLeadership; one Ready value comes out; the
// caller does what it says and reports back.
//
//   Raft raft(config, log);
//   raft.Tick();
//   raft.Step(std::move(message));
//   while (raft.HasReady()) {
//     Ready ready = raft.TakeReady();
//     // 1. send ready.messages now
//     // 2. make ready.hard_state, ready.entries (after ready.snapshot) durable,
//     //    then send ready.persisted_messages, then raft.Persisted(ready.id)
//     // 3. apply ready.committed, then raft.Applied(last index)
//     // 4. answer ready.reads once their index is applied
//   }
//
// Storage is asynchronous: step 2 may run beside later calls, and further
// Readys may be taken before it ends, but Readys must become durable in the
// order they were taken. See Ready for the duty of each field.
//
// Sources: the Raft paper (extended version), Ongaro's thesis, etcd-io/raft.
// Thread-safety: none; one owner calls everything. Misuse (Persisted out of
// order, an index applied that was never handed out) stops the process with
// the broken rule.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "raft/core/types.h"

namespace keel::raft {

// The entries that the driver holds durably or has been told to make durable.
// The core reads what it handed out in Ready::entries back through this as
// soon as TakeReady has returned; the implementation answers from memory for
// entries still on their way to disk.
class LogView {
 public:
  virtual ~LogView() = default;

  // First index still present (after compaction), and last one; last = first - 1 when empty.
  virtual Index FirstIndex() const = 0;
  virtual Index LastIndex() const = 0;
  // Term of the entry at `index`; also defined for FirstIndex() - 1 (the
  // snapshot's last entry). OutOfRange when compacted or beyond the end.
  virtual absl::StatusOr<Term> TermAt(Index index) const = 0;
  // Entries [low, high), at least one, then as many as fit `max_bytes` of
  // payload. OutOfRange when `low` is compacted away: the core then sends a snapshot.
  virtual absl::StatusOr<std::vector<Entry>> Entries(Index low, Index high,
                                                     uint64_t max_bytes) const = 0;
  // The same into `*entries`, which is empty and may have memory to spare: one
  // that overrides it saves an allocation a message.
  virtual absl::Status ReadEntries(Index low, Index high, uint64_t max_bytes,
                                   std::vector<Entry>* entries) const {
    absl::StatusOr<std::vector<Entry>> read = Entries(low, high, max_bytes);
    if (read.ok()) *entries = *std::move(read);
    return read.status();
  }
  // The newest snapshot of the state machine that can be sent. Unavailable
  // while none is ready: the core asks again later.
  virtual absl::StatusOr<SnapshotMeta> Snapshot() const = 0;
};

struct Config {
  NodeId id = kNoNode;
  uint64_t election_ticks = 10;  // randomised in [n, 2n)
  uint64_t heartbeat_ticks = 1;
  uint64_t max_message_bytes = 1 << 20;         // entries of one kAppend
  uint64_t max_inflight_messages = 256;         // kAppend on the way to one peer
  uint64_t max_inflight_bytes = 64ull << 20;    // the same in bytes
  uint64_t max_uncommitted_bytes = 1ull << 30;  // proposals beyond are refused (ResourceExhausted)
  uint64_t max_committed_bytes = 64ull << 20;   // of one Ready::committed
  bool pre_vote = true;
  bool check_quorum = true;
  // Serve ReadIndex from the leader's lease instead of a quorum round. Safe only
  // where clocks of members drift less than the election timeout allows.
  bool lease_reads = false;
  // A leader whose own disk has not persisted for this many ticks steps down;
  // 0 switches it off (etcd-io/etcd#13527 is what happens without).
  uint64_t disk_stall_ticks = 0;
  // Source of randomness: a uniform integer in [0, n). Required.
  std::function<uint64_t(uint64_t n)> random;
};

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

// A ReadIndex request that may be answered once `index` is applied.
struct ReadState {
  uint64_t context = 0;
  Index index = 0;
};

struct SoftState {
  NodeId leader = kNoNode;
  Role role = Role::kFollower;
  bool operator==(const SoftState&) const = default;
};

struct Ready {
  uint64_t id = 0;  // counts up by one per Ready

  // Set when leader or role changed. Nothing to persist.
  std::optional<SoftState> soft_state;

  // Must be durable before persisted_messages are sent and before
  // Persisted(id): first the snapshot (it replaces the whole log), then the
  // entries (an entry at an index already present replaces it and all after
  // it), then the hard state.
  std::optional<SnapshotMeta> snapshot;
  std::vector<Entry> entries;
  std::optional<HardState> hard_state;
  // False when only `commit` changed, and not over a change of membership: no fsync owed.
  bool must_sync = false;

  // May be sent at once, beside the writes above.
  std::vector<Message> messages;
  // May be sent only when all of this Ready and of earlier ones is durable.
  std::vector<Message> persisted_messages;

  // Committed and locally durable; apply in order, then call Applied.
  std::vector<Entry> committed;

  std::vector<ReadState> reads;
  // ReadIndex requests that were dropped (leader lost, no leader): fail or retry them.
  std::vector<uint64_t> dropped_reads;
};

enum class SnapshotStatus : uint8_t { kFinished, kFailed };

// What the leader knows of a peer (thesis 10.2.1; etcd-io/raft tracker).
struct PeerProgress {
  enum class State : uint8_t { kProbe, kReplicate, kSnapshot };
  NodeId id = kNoNode;
  State state = State::kProbe;
  Index match = 0;
  Index next = 0;
  bool recently_active = false;
  bool learner = false;
};

struct Status {
  NodeId id = kNoNode;
  HardState hard_state;
  SoftState soft_state;
  Index applied = 0;
  ConfState conf;
  NodeId transferee = kNoNode;
  std::vector<PeerProgress> progress;  // filled on a leader only; by id
  uint64_t refused_messages = 0;       // by Step with InvalidArgument, since the start
};

class Raft {
 public:
  // Starts a member from what is durable: `hard_state` and `conf` as read back,
  // `applied` the last index whose effects the state machine holds. `log` must outlive this.
  // A first start of a cluster: empty log, conf with all initial voters.
  // A member that joins a running cluster: empty log, empty conf. It takes no
  // entries until a snapshot has brought it a configuration, so the leader's
  // LogView must offer one in time even if its log is complete.
  Raft(Config config, LogView* log, HardState hard_state, ConfState conf, Index applied);
  ~Raft();

  Raft(const Raft&) = delete;
  Raft& operator=(const Raft&) = delete;

  // One tick of the caller's clock.
  void Tick();

  // A message from a peer. Messages that do not fit (unknown type, of a stale
  // term, to another member) are refused without any change: InvalidArgument.
  // What a peer forwards can be refused as Propose and TransferLeadership are.
  absl::Status Step(Message message);

  // Proposes an entry. On a follower it is forwarded to the leader (delivery is
  // not guaranteed: propose again when it does not commit). Unavailable without
  // a leader, while leadership is being transferred or the leader removed; ResourceExhausted over
  // max_uncommitted_bytes. OK means accepted, not committed.
  absl::Status Propose(Payload data);
  // The same for several at once: all or none.
  absl::Status Propose(std::vector<Payload> data);
  // The same out of the caller's list, which keeps what was refused.
  absl::Status Propose(std::span<Payload> data);
  // FailedPrecondition while another change is not yet applied.
  absl::Status ProposeConfChange(const ConfChange& change);
  // Tells the core that a committed kConfChange entry was applied; for one that
  // the state machine rejects it is not called. Returns the configuration now in
  // force: unchanged when the change does not fit the one before, as on every
  // other member. An empty change leaves a joint configuration. A leader that is
  // no voter any more takes no proposals and leads on only until a quorum of
  // those that stay knows of the change.
  ConfState ApplyConfChange(const ConfChange& change);

  // Asks for an index such that a read after it is applied is linearizable.
  // The answer comes as ReadState or dropped_reads with this context, which
  // must be unique among those outstanding on this member and not 0.
  absl::Status ReadIndex(uint64_t context);

  // Starts an election now, unless already leader.
  void Campaign();
  // Hands leadership to `to` within an election timeout, else gives up. On a
  // follower the request is forwarded. kNoNode picks the most up-to-date voter (leader only).
  absl::Status TransferLeadership(NodeId to);

  // Messages are put together here and not as inputs arrive: all inputs since
  // the last Ready share one kAppend a peer and one round of heartbeats, so take
  // in whatever has queued up before asking.
  bool HasReady() const;
  // REQUIRES: HasReady().
  Ready TakeReady();
  // All of the Ready with this id is durable. REQUIRES: in order, each once.
  // Readys without anything to persist count too.
  void Persisted(uint64_t ready_id);
  // Everything up to `index` is applied.
  void Applied(Index index);

  // Gives back the memory of a Ready's lists, so that further Readys need none of
  // their own. Optional. Lists that were moved elsewhere may have been left empty.
  void Recycle(Ready ready);
  // A message to decode into and Step, with memory from Recycle.
  Message SpareMessage();

  // From the transport: a peer cannot be reached; a snapshot stream to it ended.
  void ReportUnreachable(NodeId peer);
  void ReportSnapshot(NodeId peer, SnapshotStatus status);

  NodeId id() const;
  Term term() const;
  Role role() const;
  NodeId leader() const;
  Index commit() const;
  Index applied() const;
  Status GetStatus() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The bytes of a kConfChange entry (docs/formats/raft-confchange.md).
std::string EncodeConfChange(const ConfChange& change);
absl::StatusOr<ConfChange> DecodeConfChange(std::string_view data);

}  // namespace keel::raft
