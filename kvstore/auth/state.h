// Users, roles and whether authentication is on: the replicated state, held in
// memory and written through to `meta` (docs/formats/mvcc.md).
//
//   const auto rights = state.RightsOf({.user = "jane", .revision = 7});
//   if (!rights.ok()) return rights.status();
//   if (!(*rights)->CanRead("a", "b")) return ErrPermissionDenied();
//
// The rules and errors are etcd's (server/auth/store.go): so is the auth
// revision, which begins at 1, and grows by one with whatever changes what a
// user may do, or its password. Somebody who was told apart at an older
// revision must be told apart anew (ErrAuthOldRevision).
//
// Thread-safety: the const methods from any thread, the others on the apply
// loop. Changes reach the disk with the writer's Commit.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/auth/key_range_set.h"
#include "kvstore/mvcc/store.h"

namespace keel::kvstore {

// Who asks.
struct Caller {
  std::string user;
  uint64_t revision = 0;  // of the auth state in which this was so; 0: nobody said who
};

struct Credentials {
  std::string hash;  // bcrypt's
  bool no_password = false;
  uint64_t revision = 0;  // of the auth state that they were read at
};

class AuthState {
 public:
  static constexpr std::string_view kRoot = "root";  // the user, and the role

  // Called, under the lock, for a change that ends a user's tokens (empty: everybody's), before its
  // revision is shown: whoever sees that revision finds the tokens gone. Set before the first
  // change.
  using TokenRevoker = std::function<void(const std::string& user)>;
  void SetTokenRevoker(TokenRevoker revoke) { revoke_tokens_ = std::move(revoke); }

  // Replaces what is in memory by what `store` holds.
  absl::Status Load(const Store& store);

  // One relaxed load: all that a request costs while authentication is off.
  bool enabled() const { return enabled_.load(std::memory_order_relaxed); }
  uint64_t revision() const { return revision_.load(std::memory_order_acquire); }
  // Moves with every change of any kind, switching on and off too, and with Load.
  const std::atomic<uint64_t>& epoch() const { return epoch_; }

  // ---- who may do what. Everybody everything while authentication is off.

  // ErrUserEmpty, ErrAuthOldRevision; ErrPermissionDenied when there is no such user.
  absl::StatusOr<std::shared_ptr<const Rights>> RightsOf(const Caller& caller) const;
  // Whether it may do what only root may. ErrUserEmpty, ErrPermissionDenied.
  absl::Status CheckAdmin(const Caller& caller) const;
  // Whether it is somebody. ErrUserEmpty, ErrPermissionDenied when the user is gone.
  absl::Status CheckKnown(const Caller& caller) const;
  bool HasRole(std::string_view user, std::string_view role) const;
  std::optional<Credentials> CredentialsOf(std::string_view user) const;

  // ---- what there is

  absl::StatusOr<std::vector<std::string>> Roles(std::string_view user) const;  // by name
  absl::StatusOr<std::vector<authpb::Permission>> Permissions(std::string_view role) const;
  std::vector<std::string> UserNames() const;
  std::vector<std::string> RoleNames() const;

  // ---- changes. An error means that nothing has changed.

  absl::Status Enable(Writer& writer);
  void Disable(Writer& writer);
  absl::Status AddUser(Writer& writer, const etcdserverpb::AuthUserAddRequest& request);
  absl::Status DeleteUser(Writer& writer, const std::string& name);
  absl::Status ChangePassword(Writer& writer, const std::string& name, const std::string& hash);
  absl::Status GrantRole(Writer& writer, const std::string& user, const std::string& role);
  absl::Status RevokeRole(Writer& writer, const std::string& user, const std::string& role);
  absl::Status AddRole(Writer& writer, const std::string& name);
  absl::Status DeleteRole(Writer& writer, const std::string& name);
  absl::Status GrantPermission(Writer& writer,
                               const etcdserverpb::AuthRoleGrantPermissionRequest& request);
  absl::Status RevokePermission(Writer& writer,
                                const etcdserverpb::AuthRoleRevokePermissionRequest& request);

 private:
  struct User {
    authpb::User stored;  // roles ascending
    std::shared_ptr<const Rights> rights;
  };
  using Users = absl::btree_map<std::string, User, std::less<>>;
  using RoleMap = absl::btree_map<std::string, authpb::Role, std::less<>>;

  void Save(Writer& writer, const User& user) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Save(Writer& writer, const authpb::Role& role) const;
  void Bump(Writer& writer);
  void RevokeTokens(const std::string& user) const {
    if (revoke_tokens_) revoke_tokens_(user);
  }
  void Merge(User& user) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MergeAllWith(const std::string& role) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  TokenRevoker revoke_tokens_;
  std::atomic<bool> enabled_{false};
  std::atomic<uint64_t> revision_{1};
  std::atomic<uint64_t> epoch_{1};
  mutable base::Mutex mutex_;
  Users users_ ABSL_GUARDED_BY(mutex_);
  RoleMap roles_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keel::kvstore
