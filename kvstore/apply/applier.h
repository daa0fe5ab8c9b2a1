// Executes commands of the log on the store, by etcd's rules
// (server/etcdserver/apply, server/etcdserver/txn).
//
// Not thread-safe: the apply loop's. Two kinds of errors: a request that is
// refused is an outcome (`outcome->status`), the same on every member; what
// the methods return is this member's disk failing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/apply/cluster_state.h"
#include "kvstore/apply/command.h"
#include "kvstore/apply/command.pb.h"
#include "kvstore/apply/lease_writers.h"
#include "kvstore/apply/state_machine.h"
#include "kvstore/apply/txn.h"
#include "kvstore/auth/key_range_set.h"
#include "kvstore/mvcc/store.h"

namespace keel::kvstore {

// What the sink is to be told once the batch is readable.
using Notice = std::function<void(ApplySink&)>;

class Applier {
 public:
  // `commit` writes what is pending of earlier entries.
  Applier(Store* store, ClusterState* state, Levels levels, std::function<absl::Status()> commit)
      : store_(*store), state_(*state), levels_(levels), commit_(std::move(commit)) {}

  // `wanted`: somebody waits for outcome->body. Appends to `notices`.
  absl::Status Apply(const CommandView& command, bool wanted, ApplyResult* outcome,
                     std::vector<Notice>* notices);
  // What was done since the last call.
  ApplyFigures TakeFigures() { return std::exchange(figures_, {}); }

 private:
  absl::Status Dispatch(const CommandView& command);
  absl::Status ApplyPut(const PutView& put);
  absl::Status ApplyDeleteRange(const etcdserverpb::DeleteRangeRequest& request);
  absl::Status ApplyTxn(const etcdserverpb::TxnRequest& request);
  absl::Status ApplyCompaction(const etcdserverpb::CompactionRequest& request);
  absl::Status ApplyClusterVersion(const kv::ClusterVersion& request);
  absl::Status ApplyLeaseGrant(const etcdserverpb::LeaseGrantRequest& request);
  absl::Status ApplyLeaseRevoke(const etcdserverpb::LeaseRevokeRequest& request);
  absl::Status ApplyLeaseCheckpoint(const etcdserverpb::LeaseCheckpointRequest& request);
  void ApplyAlarm(const etcdserverpb::AlarmRequest& request);
  void ApplyMemberSpace(const kv::MemberSpace& request);
  void ApplyMemberAttributes(const kv::MemberAttributes& request);
  void ApplyMemberUpdate(const etcdserverpb::MemberUpdateRequest& request);

  // applier_auth.cc. While authentication is on: refuses (in the outcome) what the command's user
  // may not do.
  absl::Status CheckCaller(const CommandView& command);
  // `user` has `rights`.
  absl::StatusOr<bool> CanWriteKeysOf(std::string_view user, const Rights& rights,
                                      const std::vector<int64_t>& leases);
  // False when the command is none about users and roles.
  bool ApplyAuth(const CommandView& command);
  void ApplyAuthenticate(const kv::Authenticate& request);
  template <typename Request>
  void ChangeAuth(std::string_view bytes,
                  absl::FunctionRef<absl::Status(AuthState&, const Request&)> change);

  // Parts of a transaction and of the requests alone.
  absl::Status Put(const PutView& put, absl::Status* refused, std::string* body);
  absl::Status DeleteRange(const etcdserverpb::DeleteRangeRequest& request, std::string* body);
  absl::Status CheckPath(const etcdserverpb::TxnRequest& request, const TxnPath& path, size_t* next,
                         bool puts, absl::Status* refused);
  absl::Status ExecuteTxn(const etcdserverpb::TxnRequest& request, const TxnPath& path,
                          size_t* next, std::string* body);

  Writer& writer() { return store_.writer(); }
  // Parses into `message`; false, with the outcome set, for bytes that are none.
  template <typename Message>
  bool Parse(std::string_view bytes, Message* message) {
    if (message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return true;
    outcome_->status =
        absl::InvalidArgumentError("etcdserver: the command in the log cannot be decoded");
    return false;
  }

  Store& store_;
  ClusterState& state_;
  const Levels levels_;
  const std::function<absl::Status()> commit_;
  ApplyFigures figures_;
  // Of the command in hand.
  bool wanted_ = false;
  std::string_view user_;
  ApplyResult* outcome_ = nullptr;
  std::vector<Notice>* notices_ = nullptr;
  // Reused, with the memory they have grown.
  etcdserverpb::DeleteRangeRequest delete_range_;
  etcdserverpb::TxnRequest txn_;
  LeaseWriters lease_writers_;
};

// Whether a transaction puts anything, on whatever path.
bool HasPuts(const etcdserverpb::TxnRequest& request);

}  // namespace keel::kvstore
