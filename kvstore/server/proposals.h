// The way of a write through the log and back: encodes a Command around the
// client's own bytes, proposes it, and hands the result to whoever waits.
//
//   proposals.Propose(CommandField::kPut, call->request(),
//                     [this, call](absl::Status error, ApplyResult* result) {
//     if (!error.ok()) return call->Finish(error);
//     call->Reply(Response(*result));
//   });
//
// While the cluster has no leader, proposals wait for one (as in etcd) until
// their time is up.
//
// Thread-safety: Propose, ProposeChange and Encode may be called from any thread;
// OnResults on the apply loop; the others on the server's loop.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "kvstore/auth/state.h"
#include "kvstore/server/context.h"

namespace keel::kvstore {

// Field numbers of keel.kv.Command.request.
enum class CommandField : int {
  kPut = 5,
  kDeleteRange = 6,
  kTxn = 7,
  kCompaction = 8,
  kLeaseGrant = 9,
  kLeaseRevoke = 10,
  kLeaseCheckpoint = 11,
  kAlarm = 12,
  kMemberAttributes = 13,
  kClusterVersion = 14,
  kMemberUpdate = 15,
  kMemberSpace = 17,
  kAuthenticate = 32,
  kAuthEnable = 33,
  kAuthDisable = 34,
  kUserAdd = 35,
  kUserDelete = 36,
  kUserChangePassword = 37,
  kUserGrantRole = 38,
  kUserRevokeRole = 39,
  kRoleAdd = 40,
  kRoleDelete = 41,
  kRoleGrantPermission = 42,
  kRoleRevokePermission = 43,
};

class Proposals {
 public:
  // Called once: with an error (on the server's loop, or inside Propose) and
  // null, or with OK and the result (on the apply loop); result->status may be
  // an error of its own.
  using Done = absl::AnyInvocable<void(absl::Status, ApplyResult*)>;

  // Entries committed and not yet applied, and bytes that wait for a result,
  // beyond which new proposals are refused.
  static constexpr uint64_t kMaxApplyGap = 50'000;
  static constexpr size_t kMaxPendingBytes = 1ull << 30;

  explicit Proposals(ServerContext* context);

  // `request` is the encoded message of that field. Errors given to `done`:
  // etcd's "request is too large", "too many requests", and the timeouts.
  // `only_in_term`: see command.proto. `caller`: in whose name, while authentication is on.
  void Propose(CommandField field, std::string_view request, Done done, uint64_t only_in_term = 0,
               const Caller* caller = nullptr);
  // `make` gets the id that the change's context must carry.
  void ProposeChange(absl::AnyInvocable<raft::ConfChange(uint64_t id)> make, Done done);

  uint64_t NewId() { return ids_.Next(); }

  // What ApplySink::OnResults got.
  void OnResults(std::span<ApplyResult> results);
  // A leader was elected or lost.
  void OnLeaderChange(bool has_leader);
  // Every result up to now was covered by a snapshot and will not come.
  void OnReset();
  // Fails what is out of time; called regularly.
  void Tick();
  // Fails everything, also what comes later.
  void Stop();

  size_t pending() const;
  uint64_t failed_total() const { return failed_total_.load(std::memory_order_relaxed); }
  uint64_t slow_total() const { return slow_total_.load(std::memory_order_relaxed); }

 private:
  struct Waiting {
    Done done;
    base::TimePoint start;
    raft::Payload payload;  // a command; null for a membership change
    size_t bytes = 0;
    uint64_t reign = 0;  // reign_ when it was sent
  };

  std::string Encode(uint64_t id, CommandField field, std::string_view request,
                     uint64_t only_in_term, const Caller* caller) const;
  bool Add(uint64_t id, Waiting waiting);
  Done Take(uint64_t id);
  void Send(uint64_t id, const raft::Payload& payload);
  void OnRefused(uint64_t id, absl::Status refused);
  void Fail(uint64_t id, absl::Status error);
  void Retry();
  // Asks for a read of the present reign, and for another when that one got lost.
  void CatchUp();
  void FailSentBefore(uint64_t reign);
  absl::Status TimeoutError(base::TimePoint start) const;

  ServerContext* const context_;
  IdGenerator ids_;

  mutable base::Mutex mutex_;
  absl::flat_hash_map<uint64_t, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<std::pair<base::TimePoint, uint64_t>> by_start_ ABSL_GUARDED_BY(mutex_);

  // Counts the leaders lost: what was sent to one of them and is not applied
  // when the state has caught up with its successor was lost with it.
  std::atomic<uint64_t> reign_{0};
  bool leaderless_ = false;
  uint64_t caught_up_ = 0;  // the reign with which the state has caught up; on the loop
  base::TimePoint catch_up_asked_{};
  std::vector<uint64_t> held_;  // refused for want of a leader; on the loop
  base::TimePoint leader_lost_{};
  base::TimePoint leader_elected_{};

  std::atomic<uint64_t> failed_total_{0};
  std::atomic<uint64_t> slow_total_{0};
};

}  // namespace keel::kvstore
