// Many Raft groups in one process: one log, one transport, one tick for all of
// them. What a store of many ranges or a queue of many partitions is built on
// (CockroachDB and TiKV call it a store, dragonboat a NodeHost).
//
//   HostOptions options;
//   options.id = 1;                   // of this process; the same in all its groups
//   options.loop = &loop;
//   options.apply_loop = &apply;
//   options.log_dir = "/var/lib/x/log";
//   KEEL_ASSIGN_OR_RETURN(auto host, Host::Open(options, &transport));
//   for (GroupId id : host->Groups()) ...   // those that the log holds: open them again
//   GroupOptions group;
//   group.id = 17;
//   group.initial_conf.voters = {1, 2, 3};  // ids of hosts; a new group's only
//   KEEL_ASSIGN_OR_RETURN(auto node, host->OpenGroup(group, &state_machine));
//   node->Propose(payload, [](absl::Status refused) { ... });
//
// A group is a raft::Node like any other: see node.h for Propose, ReadIndex and
// the rest. A host has at most one member of a group, under its own id. Hosts
// of one cluster may hold different groups; a group's members are those of its
// ConfState. A message for a group that is not open here is refused, counted
// and logged at most once a second, and changes nothing.
//
// What groups share. Everything that queued up while the last fdatasync ran, of
// whichever groups, is one write and one fdatasync (SharedLog). Messages of one
// turn of the loop, of whichever groups, go to a peer as one frame; so do the
// heartbeats of all groups, which tick together. Groups do not share a fate: one
// whose state machine fails ends alone (GroupOptions::on_fatal). A failed write
// of the log ends them all (HostOptions::on_fatal).
//
// Quiescence. A leader whose group has nothing to do (nothing proposed, read or
// applied for `quiesce_ticks`, every member holds and knows as committed all of
// the log) tells the members and stops ticking; a member that agrees (same term,
// same commit index, same end of the log) stops too. From then on the group
// costs memory only: no tick, message, timer or allocation. Anything wakes it:
// a call of its Node, a message, or word of a host:
//   - Hosts send each other one heartbeat each `host_heartbeat_ticks`, whatever
//     the number of groups. A host not heard of for `host_suspect_ticks` is
//     suspected; one that comes back as another process (another epoch) was
//     restarted. Either wakes the groups it leads, and those led here that it
//     is a member of.
//   - A leader that goes away alone (its Node is gone, its state machine failed)
//     says so to the members' hosts.
// A member on a suspected host does not keep a group awake as long as a quorum
// agrees. Quiescing only stops timers: terms, votes, logs and the quorum round
// of ReadIndex are untouched, so safety does not depend on any of this. A group
// of which the leader's host dies while it sleeps has a new leader within about
// host_suspect_ticks + 2 * election_ticks + the time of an election. The scheme
// is that of CockroachDB's quiescence by node liveness (and TiKV's hibernating
// regions). Groups with lease_reads never quiesce: a lease is counted in ticks.
//
// Threads: `loop` owns every core, `apply_loop` every state machine, a writer
// thread the log; nothing is shared under a lock. All groups of a host share
// them: run several hosts for several cores.
// Thread-safety: OpenGroup, RemoveGroup, Groups and counters on `loop` only, or
// before it runs; the Nodes' methods from any thread, as node.h says.
// Lifetime: transport, loops and state machines outlive the host; the host may
// be destroyed before or after its Nodes, which then refuse everything.
// Determinism: with random_seed set, everything follows from the loops' order.
//
// Durability is Node's (node.h, state_machine.h): a proposal is applied only
// after a quorum has it behind an fdatasync; votes and terms are durable before
// anyone hears of them. Opening a new group makes no promise until its first
// message, which waits for the record of its creation.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "raft/driver/node.h"
#include "raft/log/shared_log.h"

namespace keel::raft {

struct HostOptions {
  NodeId id = kNoNode;
  base::Loop* loop = nullptr;
  base::Loop* apply_loop = nullptr;
  // Runs blocking log writes; null: a thread of the host's own.
  base::Loop* log_loop = nullptr;
  base::FileSystem* fs = nullptr;  // null: PosixFileSystem()
  std::string log_dir;
  // For snapshots on their way in and out. Emptied at Open.
  std::string snapshot_dir;

  // Who the log belongs to; a log of another cluster or host, or one of a
  // single Node, is refused.
  uint64_t cluster_id = 0;

  // Of all groups: they tick together.
  base::Duration tick = std::chrono::milliseconds(100);
  uint64_t election_ticks = 10;
  uint64_t heartbeat_ticks = 1;
  uint64_t random_seed = 0;  // 0: from the system

  uint64_t quiesce_ticks = 10;        // without work before a group quiesces; 0: never
  uint64_t host_heartbeat_ticks = 3;  // between two heartbeats to a host
  uint64_t host_suspect_ticks = 15;   // without a word from it

  uint64_t segment_bytes = 64ull << 20;
  uint64_t log_memory_bytes = 32ull << 20;  // of entries kept in memory, all groups together

  // The host cannot go on (failed fsync). Once, on `loop`; its groups' on_fatal were called.
  std::function<void(absl::Status)> on_fatal;
  // A user payload from another host (Transport::SendUser). On `loop`.
  std::function<void(NodeId from, std::string payload)> on_user_message;
  // A sync of the log took this long. On the log's thread; for metrics.
  std::function<void(base::Duration)> on_log_sync;
};

struct GroupOptions {
  GroupId id = kNoGroup;   // not kNoGroup, not kHostGroup
  ConfState initial_conf;  // when the log does not hold the group yet; empty: join and wait

  // As in NodeOptions.
  uint64_t snapshot_count = 10000;
  uint64_t catchup_entries = 5000;
  uint64_t log_bytes_max = 64ull << 20;
  uint64_t max_uncommitted_bytes = 64ull << 20;
  bool lease_reads = false;  // such a group never quiesces
  std::function<void(absl::Status)> on_fatal;
  std::function<void(const SoftState&, Term)> on_state_change;
  NodeObserver* observer = nullptr;  // outlives the group's Node
};

// Since Open, but for the first three.
struct HostCounters {
  uint64_t groups = 0;         // open now
  uint64_t active_groups = 0;  // of them: ticking, the others are quiescent
  uint64_t suspected_hosts = 0;
  uint64_t ticks = 0;              // of groups, each counted
  uint64_t turns = 0;              // in which a group took in or gave out something
  uint64_t messages_sent = 0;      // of groups
  uint64_t messages_received = 0;  // of groups
  uint64_t sends = 0;  // hand-overs to the transport: what the messages were batched into
  uint64_t host_heartbeats_sent = 0;
  uint64_t refused_messages = 0;  // for a group that is not open here
  uint64_t quiesced = 0;          // times that a group fell asleep
  uint64_t woken = 0;             // times that one woke up, opening included
};

class Host {
 public:
  // Opens or creates the log, reading it once for all groups. Blocks; call
  // before the loops matter. Errors: as Node::Open.
  static absl::StatusOr<std::unique_ptr<Host>> Open(HostOptions options, Transport* transport);
  // Without Stop: as a crash would leave it.
  virtual ~Host() = default;

  // The groups that the log holds, ascending, open or not.
  virtual std::vector<GroupId> Groups() const = 0;

  // Opens a group, creating it when the log does not hold it, and the state
  // machine (StateMachine::Open runs in this call). Errors: AlreadyExists when
  // it is open; DataLoss when the state machine stands before the log;
  // Unavailable when the host has failed. Destroying the Node closes the group;
  // it may be opened again.
  virtual absl::StatusOr<std::unique_ptr<Node>> OpenGroup(GroupOptions options,
                                                          StateMachine* state_machine) = 0;

  // Takes a group out of the log: after `done` it is as if it had never been
  // here. Its bytes go as segments do. FailedPrecondition while it is open,
  // NotFound when the log does not hold it. This host must not be a member of
  // the group any more (as when it left by a change of membership): it forgets
  // its vote and its entries.
  virtual absl::Status RemoveGroup(GroupId group, absl::AnyInvocable<void()> done) = 0;

  virtual HostCounters counters() const = 0;
  virtual SharedLogStats log_stats() const = 0;

  // Stops ticking and receiving and waits for the log's last write. Blocks; not
  // on one of the loops. Stop the Nodes first: they hand over what they lead.
  virtual void Stop() = 0;
};

}  // namespace keel::raft
