#include "kvstore/auth/state.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "kvstore/auth/errors.h"
#include "kvstore/mvcc/coding.h"

namespace keel::kvstore {

namespace {

using authpb::Permission;

// Keys of `meta`; names follow as they are.
constexpr std::string_view kEnabled = "auth/enabled";
constexpr std::string_view kRevision = "auth/revision";  // varint
constexpr std::string_view kUser = "auth/user/";
constexpr std::string_view kRole = "auth/role/";

constexpr std::string_view kNoEnd("\0", 1);

template <typename Roles>
auto FindRole(Roles& roles, std::string_view role) {
  return std::lower_bound(roles.begin(), roles.end(), role);
}

template <typename Roles>
bool Has(const Roles& roles, std::string_view role) {
  return std::binary_search(roles.begin(), roles.end(), role);
}

bool PermissionBefore(const Permission& a, const Permission& b) {
  return std::tie(a.key(), a.range_end()) < std::tie(b.key(), b.range_end());
}

// etcd: isValidPermissionRange.
bool IsRange(const Permission& permission) {
  if (permission.key().empty()) return false;
  return permission.range_end().empty() || permission.range_end() == kNoEnd ||
         permission.key() < permission.range_end();
}

void AddTo(Rights& rights, const Permission& permission) {
  if (permission.permtype() != Permission::WRITE) {
    rights.read.Add(permission.key(), permission.range_end());
  }
  if (permission.permtype() != Permission::READ) {
    rights.write.Add(permission.key(), permission.range_end());
  }
}

std::shared_ptr<const Rights> AllRights() {
  static const auto* const all =
      new std::shared_ptr<const Rights>(std::make_shared<Rights>(Rights{.root = true}));
  return *all;
}

}  // namespace

absl::Status AuthState::Load(const Store& store) {
  bool damaged = false;
  std::string bytes;
  KEEL_ASSIGN_OR_RETURN(const bool enabled, store.GetMeta(kEnabled, &bytes));
  uint64_t revision = 1;
  KEEL_ASSIGN_OR_RETURN(const bool has_revision, store.GetMeta(kRevision, &bytes));
  if (has_revision) {
    std::string_view in = bytes;
    damaged = !ReadVarint(&in, &revision) || !in.empty();
  }
  RoleMap roles;
  KEEL_RETURN_IF_ERROR(store.ScanMeta(kRole, [&](std::string_view name, std::string_view value) {
    damaged =
        !roles[std::string(name)].ParseFromArray(value.data(), static_cast<int>(value.size())) ||
        damaged;
  }));
  Users users;
  KEEL_RETURN_IF_ERROR(store.ScanMeta(kUser, [&](std::string_view name, std::string_view value) {
    damaged = !users[std::string(name)].stored.ParseFromArray(value.data(),
                                                              static_cast<int>(value.size())) ||
              damaged;
  }));
  if (damaged) return absl::DataLossError("store: damaged record of auth in family default");

  base::MutexLock lock(&mutex_);
  roles_ = std::move(roles);
  users_ = std::move(users);
  for (auto& [name, user] : users_) Merge(user);
  revision_.store(revision, std::memory_order_release);
  enabled_.store(enabled, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  return absl::OkStatus();
}

// ---- who may do what

absl::StatusOr<std::shared_ptr<const Rights>> AuthState::RightsOf(const Caller& caller) const {
  if (!enabled()) return AllRights();
  if (caller.revision == 0) return ErrUserEmpty();
  base::MutexLock lock(&mutex_);
  if (caller.revision < revision()) return ErrAuthOldRevision();
  const auto user = users_.find(caller.user);
  if (user == users_.end()) return ErrPermissionDenied();
  return user->second.rights;
}

absl::Status AuthState::CheckAdmin(const Caller& caller) const {
  if (!enabled()) return absl::OkStatus();
  if (caller.user.empty()) return ErrUserEmpty();
  base::MutexLock lock(&mutex_);
  const auto user = users_.find(caller.user);
  const bool root = user != users_.end() && user->second.rights->root;
  return root ? absl::OkStatus() : ErrPermissionDenied();
}

absl::Status AuthState::CheckKnown(const Caller& caller) const {
  if (!enabled()) return absl::OkStatus();
  if (caller.user.empty()) return ErrUserEmpty();
  base::MutexLock lock(&mutex_);
  return users_.contains(caller.user) ? absl::OkStatus() : ErrPermissionDenied();
}

bool AuthState::HasRole(std::string_view user, std::string_view role) const {
  base::MutexLock lock(&mutex_);
  const auto found = users_.find(user);
  return found != users_.end() && Has(found->second.stored.roles(), role);
}

std::optional<Credentials> AuthState::CredentialsOf(std::string_view user) const {
  base::MutexLock lock(&mutex_);
  const auto found = users_.find(user);
  if (found == users_.end()) return std::nullopt;
  const authpb::User& stored = found->second.stored;
  return Credentials{stored.password(), stored.options().no_password(), revision()};
}

// ---- what there is

absl::StatusOr<std::vector<std::string>> AuthState::Roles(std::string_view user) const {
  base::MutexLock lock(&mutex_);
  const auto found = users_.find(user);
  if (found == users_.end()) return ErrUserNotFound();
  const auto& roles = found->second.stored.roles();
  return std::vector<std::string>(roles.begin(), roles.end());
}

absl::StatusOr<std::vector<Permission>> AuthState::Permissions(std::string_view role) const {
  base::MutexLock lock(&mutex_);
  const auto found = roles_.find(role);
  if (found == roles_.end()) return ErrRoleNotFound();
  if (role == kRoot) {
    Permission all;
    all.set_permtype(Permission::READWRITE);
    all.set_range_end(kNoEnd.data(), kNoEnd.size());
    return std::vector<Permission>{all};
  }
  const auto& permissions = found->second.keypermission();
  return std::vector<Permission>(permissions.begin(), permissions.end());
}

std::vector<std::string> AuthState::UserNames() const {
  base::MutexLock lock(&mutex_);
  std::vector<std::string> names;
  for (const auto& [name, user] : users_) names.push_back(name);
  return names;
}

std::vector<std::string> AuthState::RoleNames() const {
  base::MutexLock lock(&mutex_);
  std::vector<std::string> names;
  for (const auto& [name, role] : roles_) names.push_back(name);
  return names;
}

// ---- changes

absl::Status AuthState::Enable(Writer& writer) {
  base::MutexLock lock(&mutex_);
  if (enabled()) return absl::OkStatus();
  const auto root = users_.find(kRoot);
  if (root == users_.end()) return ErrRootUserNotExist();
  if (!root->second.rights->root) return ErrRootRoleNotExist();
  writer.PutMeta(kEnabled, {});
  enabled_.store(true, std::memory_order_relaxed);
  epoch_.fetch_add(1, std::memory_order_release);
  return absl::OkStatus();
}

void AuthState::Disable(Writer& writer) {
  base::MutexLock lock(&mutex_);
  if (!enabled()) return;
  writer.DeleteMeta(kEnabled);
  enabled_.store(false, std::memory_order_relaxed);
  RevokeTokens("");
  Bump(writer);
}

absl::Status AuthState::AddUser(Writer& writer, const etcdserverpb::AuthUserAddRequest& request) {
  if (request.name().empty()) return ErrUserEmpty();
  base::MutexLock lock(&mutex_);
  if (users_.contains(request.name())) return ErrUserAlreadyExist();
  User& user = users_[request.name()];
  user.stored.set_name(request.name());
  if (request.options().no_password()) {
    user.stored.mutable_options()->set_no_password(true);
  } else {
    user.stored.set_password(request.hashedpassword());
  }
  Merge(user);
  Save(writer, user);
  Bump(writer);
  return absl::OkStatus();
}

absl::Status AuthState::DeleteUser(Writer& writer, const std::string& name) {
  if (enabled() && name == kRoot) return ErrInvalidAuthMgmt();
  base::MutexLock lock(&mutex_);
  if (users_.erase(name) == 0) return ErrUserNotFound();
  writer.DeleteMeta(base::StrCat(kUser, name));
  RevokeTokens(name);
  Bump(writer);
  return absl::OkStatus();
}

absl::Status AuthState::ChangePassword(Writer& writer, const std::string& name,
                                       const std::string& hash) {
  base::MutexLock lock(&mutex_);
  const auto user = users_.find(name);
  if (user == users_.end()) return ErrUserNotFound();
  if (!user->second.stored.options().no_password()) user->second.stored.set_password(hash);
  Save(writer, user->second);
  RevokeTokens(name);
  Bump(writer);
  return absl::OkStatus();
}

absl::Status AuthState::GrantRole(Writer& writer, const std::string& user,
                                  const std::string& role) {
  base::MutexLock lock(&mutex_);
  const auto found = users_.find(user);
  if (found == users_.end()) return ErrUserNotFound();
  // The role root need not exist.
  if (role != kRoot && !roles_.contains(role)) return ErrRoleNotFound();
  auto* roles = found->second.stored.mutable_roles();
  if (Has(*roles, role)) return absl::OkStatus();  // no change, and no new revision
  *roles->Add() = role;
  std::sort(roles->begin(), roles->end());
  Merge(found->second);
  Save(writer, found->second);
  Bump(writer);
  return absl::OkStatus();
}

absl::Status AuthState::RevokeRole(Writer& writer, const std::string& user,
                                   const std::string& role) {
  if (enabled() && user == kRoot && role == kRoot) return ErrInvalidAuthMgmt();
  base::MutexLock lock(&mutex_);
  const auto found = users_.find(user);
  if (found == users_.end()) return ErrUserNotFound();
  auto* roles = found->second.stored.mutable_roles();
  if (!Has(*roles, role)) return ErrRoleNotGranted();
  roles->erase(FindRole(*roles, role));
  Merge(found->second);
  Save(writer, found->second);
  Bump(writer);
  return absl::OkStatus();
}

absl::Status AuthState::AddRole(Writer& writer, const std::string& name) {
  if (name.empty()) return ErrRoleEmpty();
  base::MutexLock lock(&mutex_);
  if (roles_.contains(name)) return ErrRoleAlreadyExist();
  authpb::Role& role = roles_[name];
  role.set_name(name);
  Save(writer, role);
  Bump(writer);
  return absl::OkStatus();
}

absl::Status AuthState::DeleteRole(Writer& writer, const std::string& name) {
  if (enabled() && name == kRoot) return ErrInvalidAuthMgmt();
  base::MutexLock lock(&mutex_);
  if (roles_.erase(name) == 0) return ErrRoleNotFound();
  writer.DeleteMeta(base::StrCat(kRole, name));
  for (auto& [user_name, user] : users_) {
    auto* roles = user.stored.mutable_roles();
    if (!Has(*roles, name)) continue;
    roles->erase(FindRole(*roles, name));
    Merge(user);
    Save(writer, user);
  }
  Bump(writer);
  return absl::OkStatus();
}

absl::Status AuthState::GrantPermission(
    Writer& writer, const etcdserverpb::AuthRoleGrantPermissionRequest& request) {
  if (!request.has_perm()) return ErrPermissionNotGiven();
  const Permission& wanted = request.perm();
  if (!IsRange(wanted) || !Permission::Type_IsValid(wanted.permtype())) {
    return ErrInvalidAuthMgmt();
  }
  base::MutexLock lock(&mutex_);
  const auto role = roles_.find(request.name());
  if (role == roles_.end()) return ErrRoleNotFound();
  auto* permissions = role->second.mutable_keypermission();
  const auto place =
      std::lower_bound(permissions->begin(), permissions->end(), wanted, PermissionBefore);
  if (place != permissions->end() && !PermissionBefore(wanted, *place)) {
    place->set_permtype(wanted.permtype());
  } else {
    *permissions->Add() = wanted;
    std::sort(permissions->begin(), permissions->end(), PermissionBefore);
  }
  Save(writer, role->second);
  MergeAllWith(request.name());
  Bump(writer);
  return absl::OkStatus();
}

absl::Status AuthState::RevokePermission(
    Writer& writer, const etcdserverpb::AuthRoleRevokePermissionRequest& request) {
  base::MutexLock lock(&mutex_);
  const auto role = roles_.find(request.role());
  if (role == roles_.end()) return ErrRoleNotFound();
  auto* permissions = role->second.mutable_keypermission();
  const auto gone = std::find_if(
      permissions->begin(), permissions->end(), [&request](const Permission& permission) {
        return permission.key() == request.key() && permission.range_end() == request.range_end();
      });
  if (gone == permissions->end()) return ErrPermissionNotGranted();
  permissions->erase(gone);
  Save(writer, role->second);
  MergeAllWith(request.role());
  Bump(writer);
  return absl::OkStatus();
}

// ---- what they share

void AuthState::Save(Writer& writer, const User& user) const {
  writer.PutMeta(base::StrCat(kUser, user.stored.name()), user.stored.SerializeAsString());
}

void AuthState::Save(Writer& writer, const authpb::Role& role) const {
  writer.PutMeta(base::StrCat(kRole, role.name()), role.SerializeAsString());
}

void AuthState::Bump(Writer& writer) {
  const uint64_t revision = revision_.load(std::memory_order_relaxed) + 1;
  std::string bytes;
  AppendVarint(revision, &bytes);
  writer.PutMeta(kRevision, bytes);
  revision_.store(revision, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
}

void AuthState::Merge(User& user) const {
  auto rights = std::make_shared<Rights>();
  rights->root = Has(user.stored.roles(), kRoot);
  for (const std::string& name : user.stored.roles()) {
    const auto role = roles_.find(name);
    if (role == roles_.end()) continue;
    for (const Permission& permission : role->second.keypermission()) AddTo(*rights, permission);
  }
  user.rights = std::move(rights);
}

void AuthState::MergeAllWith(const std::string& role) {
  for (auto& [name, user] : users_) {
    if (Has(user.stored.roles(), role)) Merge(user);
  }
}

}  // namespace keel::kvstore
