// Errors of authentication with etcd's gRPC codes and texts, which clients
// compare literally (etcd API: api/v3rpc/rpctypes).
#pragma once

#include "absl/status/status.h"

namespace keel::kvstore {

inline absl::Status ErrRootUserNotExist() {
  return absl::FailedPreconditionError("etcdserver: root user does not exist");
}
inline absl::Status ErrRootRoleNotExist() {
  return absl::FailedPreconditionError("etcdserver: root user does not have root role");
}
inline absl::Status ErrUserAlreadyExist() {
  return absl::FailedPreconditionError("etcdserver: user name already exists");
}
inline absl::Status ErrUserEmpty() {
  return absl::InvalidArgumentError("etcdserver: user name is empty");
}
inline absl::Status ErrUserNotFound() {
  return absl::FailedPreconditionError("etcdserver: user name not found");
}
inline absl::Status ErrRoleAlreadyExist() {
  return absl::FailedPreconditionError("etcdserver: role name already exists");
}
inline absl::Status ErrRoleNotFound() {
  return absl::FailedPreconditionError("etcdserver: role name not found");
}
inline absl::Status ErrRoleEmpty() {
  return absl::InvalidArgumentError("etcdserver: role name is empty");
}
inline absl::Status ErrAuthFailed() {
  return absl::InvalidArgumentError(
      "etcdserver: authentication failed, invalid user ID or password");
}
inline absl::Status ErrNoPasswordUser() {
  return absl::UnknownError("auth: authentication failed, password was given for no password user");
}
inline absl::Status ErrPermissionNotGiven() {
  return absl::InvalidArgumentError("etcdserver: permission not given");
}
inline absl::Status ErrPermissionDenied() {
  return absl::PermissionDeniedError("etcdserver: permission denied");
}
inline absl::Status ErrRoleNotGranted() {
  return absl::FailedPreconditionError("etcdserver: role is not granted to the user");
}
inline absl::Status ErrPermissionNotGranted() {
  return absl::FailedPreconditionError("etcdserver: permission is not granted to the role");
}
inline absl::Status ErrAuthNotEnabled() {
  return absl::FailedPreconditionError("etcdserver: authentication is not enabled");
}
inline absl::Status ErrInvalidAuthToken() {
  return absl::UnauthenticatedError("etcdserver: invalid auth token");
}
inline absl::Status ErrInvalidAuthMgmt() {
  return absl::InvalidArgumentError("etcdserver: invalid auth management");
}
inline absl::Status ErrAuthOldRevision() {
  return absl::InvalidArgumentError("etcdserver: revision of auth store is old");
}

}  // namespace keel::kvstore
