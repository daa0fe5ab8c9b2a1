// The replicated state machine of the store: keys with their history, leases,
// members, alarms. Entries of the Raft log go in, results, a new ReadView and
// a batch of the change feed come out.
//
//   KvStateMachine::Options options;
//   options.store.dir = data_dir + "/store";
//   options.member_id = id;
//   options.initial_members = members;          // first start only
//   auto machine = KvStateMachine::Create(options, &sink);
//   Node::Open(node_options, &transport, machine.get());   // calls machine->Open()
//   ...
//   node->Propose(command_bytes, ...);          // an encoded keel.kv.Command
//   // later: sink.OnResults({id, status, body, revision})
//   machine->view()->Range(...)
//
// Threads: the raft::StateMachine methods run on the apply loop, and so do all
// calls of the sink and of feed subscribers. view(), the tables and the
// getters may be used from any thread once Open has returned.
// Lifetime: `sink` outlives the state machine.
// Determinism: the same entries give the same state, revisions, results and
// hash on every member, however they are split into Apply calls.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/loop.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/apply/leases.h"
#include "kvstore/apply/level.h"
#include "kvstore/apply/members.h"
#include "kvstore/feed.h"
#include "kvstore/mvcc/read_view.h"
#include "kvstore/mvcc/store_options.h"
#include "raft/driver/state_machine.h"

namespace keel::kvstore {

class AuthState;

// The outcome of one command (or membership change) that this member proposed.
struct ApplyResult {
  uint64_t id = 0;
  // etcd's code and text when the command was refused.
  absl::Status status;
  // The serialized response message without its header (field 1), which may be
  // put before or behind it. Empty for compaction, lease_revoke,
  // lease_checkpoint, member_attributes, cluster_version and membership changes.
  std::string body;
  // For the response's header: the store's revision after the command.
  int64_t revision = 0;
  raft::Index index = 0;
};

struct Alarm {
  uint64_t member_id = 0;
  etcdserverpb::AlarmType type = etcdserverpb::NONE;
  bool automatic = false;  // raised by the member itself (MemberSpace), which lowers it again

  bool operator==(const Alarm&) const = default;
};

// What the server hears. On the apply loop, in the order of the log, during
// the replay after a start too.
// What one batch of entries did, and how long that took, for metrics.
struct ApplyFigures {
  uint64_t puts = 0;     // in transactions too
  uint64_t deletes = 0;  // calls, in transactions too, whether or not they found a key
  uint64_t txns = 0;
  base::Duration apply{};   // the whole batch
  base::Duration commit{};  // of it, the write to the store
};

class ApplySink {
 public:
  virtual ~ApplySink() = default;

  // Once per Apply at most, after view() holds the effects. Elements may be moved from.
  virtual void OnResults(std::span<ApplyResult> results) = 0;

  // Once per Apply.
  virtual void OnApplied(const ApplyFigures& figures) {}
  virtual void OnLeaseGranted(const Lease& lease) {}
  virtual void OnLeaseRevoked(int64_t id) {}
  virtual void OnLeaseCheckpointed(const Lease& lease) {}
  // members() has changed: additions, removals, promotions, URLs, names.
  virtual void OnMembersChanged() {}
  virtual void OnAlarmsChanged() {}
  virtual void OnClusterVersionChanged() {}
  // A compaction was applied; what is below `revision` cannot be read any more.
  virtual void OnCompacted(int64_t revision) {}
  // A user was given a simple token; `user` has lost all of them (empty: everybody has). The loss
  // is told twice: before the change can be seen (it must not call back), and in the order of the
  // log, for tokens that were assigned in the same Apply.
  virtual void OnTokenAssigned(const std::string& user, const std::string& token) {}
  virtual void OnTokensRevoked(const std::string& user) {}
  // What somebody may do has changed, or authentication was switched on or off.
  virtual void OnAuthChanged() {}
  // A snapshot replaced everything: leases(), members(), alarms() are new. Of
  // commands that it covers no results will come.
  virtual void OnReset() {}
};

class KvStateMachine : public raft::StateMachine, public ChangeFeed {
 public:
  struct Options {
    StoreOptions store;
    uint64_t member_id = 0;
    // Written when the store is new; what it holds wins afterwards.
    std::vector<Member> initial_members;
    // Learners there may be at once. REQUIRES: the same on every member.
    size_t max_learners = 1;
    Levels levels;
  };

  // Does no I/O: Open does. Its errors: DataLoss naming what is damaged,
  // FailedPrecondition for a store of a newer format or level, Unavailable when another
  // process holds it.
  static std::unique_ptr<KvStateMachine> Create(Options options, ApplySink* sink);

  // The newest state. Never null after Open.
  virtual std::shared_ptr<const ReadView> view() const = 0;

  virtual const LeaseTable& leases() const = 0;
  virtual const MemberTable& members() const = 0;
  virtual std::vector<Alarm> alarms() const = 0;  // by type, then member
  virtual bool HasAlarm(etcdserverpb::AlarmType type) const = 0;
  virtual std::string cluster_version() const = 0;  // empty until set
  virtual uint32_t cluster_level() const = 0;       // level.h
  virtual const AuthState& auth() const = 0;
  // At most `max_age` old.
  static constexpr base::Duration kSizesMaxAge = std::chrono::seconds(1);
  virtual StoreSizes sizes(base::Duration max_age = kSizesMaxAge) const = 0;

  // Why the store cannot flush or compact at present; OK when it can.
  // ResourceExhausted: the disk is full (raise NOSPACE). Apply goes on in memory
  // for a while, then fails.
  virtual absl::Status background_status() const = 0;
  // Flushes again after a full disk; OK when the store can. Takes as long as a flush: not for
  // a loop that others wait for.
  virtual absl::Status ResumeFlushes() = 0;

  // Links the files of the store into `dir` (missing or replaced), beside the apply loop: all that
  // view() shows, and perhaps some of what comes meanwhile. Blocks for a flush. Any thread.
  virtual absl::Status ExportCheckpoint(const std::string& dir) const = 0;

  // Calls back, on a thread of the store's own, when what was compacted up to
  // `revision` is gone from this member's disk. At once if it is already.
  virtual void WhenPhysicallyCompacted(int64_t revision,
                                       absl::AnyInvocable<void(absl::Status)> done) = 0;
};

}  // namespace keel::kvstore
