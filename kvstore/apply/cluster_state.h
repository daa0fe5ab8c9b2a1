// The part of the replicated state that is not keys: members, alarms, leases,
// users and roles, the cluster's version, Raft's configuration. Held in memory, written through
// to `meta` and `lease`.
//
// Thread-safety: the tables and getters from any thread; all that takes a
// Writer on the apply loop. Changes reach the disk with the writer's Commit.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "kvstore/apply/leases.h"
#include "kvstore/apply/members.h"
#include "kvstore/apply/state_machine.h"
#include "kvstore/auth/state.h"
#include "kvstore/mvcc/store.h"
#include "raft/core/types.h"

namespace keel::kvstore {

class ClusterState {
 public:
  // Replaces what is in memory by what `store` holds.
  absl::Status Load(const Store& store);

  const AuthState& auth() const { return auth_; }
  AuthState& auth() { return auth_; }
  const LeaseTable& leases() const { return leases_; }
  const MemberTable& members() const { return members_; }
  std::vector<Alarm> alarms() const;  // by type, then member
  bool HasAlarm(etcdserverpb::AlarmType type) const;
  std::string version() const;
  // Commands above it are refused (level.h).
  uint32_t level() const { return level_.load(std::memory_order_relaxed); }
  const raft::ConfState& conf() const { return conf_; }  // apply loop only

  // Drops all that says which cluster this is: members, those removed, alarms, version and
  // configuration; keys, leases and the level stay. `store` is the one that Load has read.
  absl::Status ForgetCluster(Store& store);

  void SetLease(Writer& writer, const Lease& lease);
  void RemoveLease(Writer& writer, int64_t id);
  void SetMember(Writer& writer, Member member);
  // By the entry at `index`. Its NOSPACE alarm goes with it: nobody else would lower it. True when
  // there was one.
  bool RemoveMember(Writer& writer, uint64_t id, raft::Index index);
  // False when nothing changed. A person's alarm stands above the member's own: it replaces that
  // one, is not replaced by it, and an automatic `alarm` does not clear it.
  bool RaiseAlarm(Writer& writer, const Alarm& alarm);
  bool ClearAlarm(Writer& writer, const Alarm& alarm);
  void SetVersion(Writer& writer, std::string version);
  void SetLevel(Writer& writer, uint32_t level);
  void SetConf(Writer& writer, const raft::ConfState& conf);

 private:
  AuthState auth_;
  LeaseTable leases_;
  MemberTable members_;
  raft::ConfState conf_;
  std::atomic<uint32_t> level_{0};
  mutable base::Mutex mutex_;
  std::vector<Alarm> alarms_ ABSL_GUARDED_BY(mutex_);
  std::string version_ ABSL_GUARDED_BY(mutex_);
};

etcdserverpb::Member ToProto(const Member& member);
Member FromProto(const etcdserverpb::Member& proto);

}  // namespace keel::kvstore
