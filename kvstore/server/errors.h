// Errors that the server itself gives, with etcd's gRPC codes and texts, which
// clients compare literally (etcd API: api/v3rpc/rpctypes). Those of the store
// stand in kvstore/mvcc/errors.h.
#pragma once

#include "absl/status/status.h"

namespace keel::kvstore {

inline absl::Status ErrRequestTooLarge() {
  return absl::InvalidArgumentError("etcdserver: request is too large");
}
inline absl::Status ErrTooManyRequests() {
  return absl::ResourceExhaustedError("etcdserver: too many requests");
}
inline absl::Status ErrTimeout() { return absl::UnavailableError("etcdserver: request timed out"); }
inline absl::Status ErrTimeoutDueToLeaderFail() {
  return absl::UnavailableError(
      "etcdserver: request timed out, possibly due to previous leader failure");
}
inline absl::Status ErrTimeoutDueToConnectionLost() {
  return absl::UnavailableError("etcdserver: request timed out, possibly due to connection lost");
}
inline absl::Status ErrNoLeader() { return absl::UnavailableError("etcdserver: no leader"); }
inline absl::Status ErrNotLeader() {
  return absl::FailedPreconditionError("etcdserver: not leader");
}
inline absl::Status ErrLeaderChanged() {
  return absl::UnavailableError("etcdserver: leader changed");
}
inline absl::Status ErrStopped() { return absl::UnavailableError("etcdserver: server stopped"); }
inline absl::Status ErrUnhealthy() {
  return absl::UnavailableError("etcdserver: unhealthy cluster");
}
inline absl::Status ErrBadLeaderTransferee() {
  return absl::FailedPreconditionError("etcdserver: bad leader transferee");
}
inline absl::Status ErrTimeoutLeaderTransfer() {
  return absl::UnavailableError("etcdserver: request timed out, leader transfer took too long");
}
inline absl::Status ErrMemberBadUrls() {
  return absl::InvalidArgumentError("etcdserver: given member URLs are invalid");
}
inline absl::Status ErrMemberNotEnoughStarted() {
  return absl::FailedPreconditionError(
      "etcdserver: re-configuration failed due to not enough started members");
}
inline absl::Status ErrLearnerNotReady() {
  return absl::FailedPreconditionError(
      "etcdserver: can only promote a learner member which is in sync with leader");
}
inline absl::Status ErrNotSupportedForLearner() {
  return absl::UnavailableError("etcdserver: rpc not supported for learner");
}
// During an upgrade (kvstore/apply/level.h); etcd has no such thing.
inline absl::Status ErrNotKnownToAll() {
  return absl::FailedPreconditionError(
      "etcdserver: not every member of the cluster knows this request yet");
}
inline absl::Status ErrNoInflightDowngrade() {
  return absl::FailedPreconditionError("etcdserver: no inflight downgrade job");
}
inline absl::Status ErrInvalidDowngradeTarget() {
  return absl::InvalidArgumentError("etcdserver: invalid downgrade target version");
}
inline absl::Status ErrWrongDowngradeVersionFormat() {
  return absl::InvalidArgumentError("etcdserver: wrong downgrade target version format");
}

}  // namespace keel::kvstore
