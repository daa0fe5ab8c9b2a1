// The part of the Applier that knows users: whether a command may be carried
// out in its user's name, and the commands that change users and roles.
#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/apply/access.h"
#include "kvstore/apply/applier.h"
#include "kvstore/apply/wire.h"
#include "kvstore/auth/errors.h"

namespace keel::kvstore {

using kv::Command;

namespace {

bool IsAuthChange(int field) {
  return field >= Command::kAuthEnableFieldNumber &&
         field <= Command::kRoleRevokePermissionFieldNumber;
}

}  // namespace

absl::Status Applier::CheckCaller(const CommandView& command) {
  const AuthState& auth = state_.auth();
  const Caller caller{std::string(command.user), command.auth_revision};
  absl::Status& refused = outcome_->status;
  if (IsAuthChange(command.field)) {
    refused = auth.CheckAdmin(caller);
    return absl::OkStatus();
  }
  switch (command.field) {
    case Command::kPutFieldNumber:
    case Command::kDeleteRangeFieldNumber:
    case Command::kTxnFieldNumber:
    case Command::kLeaseRevokeFieldNumber:
      break;
    default:
      return absl::OkStatus();  // the server asked all there is to ask
  }
  const absl::StatusOr<std::shared_ptr<const Rights>> found = auth.RightsOf(caller);
  if (!found.ok()) {
    refused = found.status();
    return absl::OkStatus();
  }
  const Rights& rights = **found;
  if (rights.root) return absl::OkStatus();
  std::vector<int64_t> leases;  // whose keys must be writable
  bool may = true;
  if (command.field == Command::kPutFieldNumber) {
    PutView put;
    refused = DecodePut(command.request, &put);
    may = refused.ok() && MayPut(rights, put, &leases);
  } else if (command.field == Command::kDeleteRangeFieldNumber) {
    may = Parse(command.request, &delete_range_) && MayDeleteRange(rights, delete_range_);
  } else if (command.field == Command::kTxnFieldNumber) {
    may = Parse(command.request, &txn_) && MayTxn(rights, txn_, &leases);
  } else {
    etcdserverpb::LeaseRevokeRequest request;
    may = Parse(command.request, &request);
    leases.push_back(request.id());
  }
  if (may && !leases.empty()) {
    KEEL_ASSIGN_OR_RETURN(may, CanWriteKeysOf(command.user, rights, leases));
  }
  if (!may && refused.ok()) refused = ErrPermissionDenied();
  return absl::OkStatus();
}

absl::StatusOr<bool> Applier::CanWriteKeysOf(std::string_view user, const Rights& rights,
                                             const std::vector<int64_t>& leases) {
  const uint64_t epoch = state_.auth().epoch().load(std::memory_order_relaxed);
  for (const int64_t lease : leases) {
    if (lease_writers_.Knows(lease, user, epoch)) continue;
    KEEL_RETURN_IF_ERROR(commit_());  // attachments of earlier entries must be readable
    KEEL_ASSIGN_OR_RETURN(const std::vector<std::string> keys, writer().LeaseKeys(lease));
    for (const std::string& key : keys) {
      if (!rights.CanWrite(key, {})) return false;
    }
    lease_writers_.Remember(lease, user, epoch);
  }
  return true;
}

template <typename Request>
void Applier::ChangeAuth(std::string_view bytes,
                         absl::FunctionRef<absl::Status(AuthState&, const Request&)> change) {
  Request request;
  if (!Parse(bytes, &request)) return;
  outcome_->status = change(state_.auth(), request);
  if (outcome_->status.ok()) notices_->push_back([](ApplySink& sink) { sink.OnAuthChanged(); });
}

bool Applier::ApplyAuth(const CommandView& command) {
  namespace pb = etcdserverpb;
  const auto revoke_tokens = [this](std::string user) {
    if (!outcome_->status.ok()) return;
    notices_->push_back([user = std::move(user)](ApplySink& sink) { sink.OnTokensRevoked(user); });
  };
  switch (command.field) {
    case Command::kAuthenticateFieldNumber: {
      kv::Authenticate request;
      if (Parse(command.request, &request)) ApplyAuthenticate(request);
      return true;
    }
    case Command::kAuthEnableFieldNumber:
      ChangeAuth<pb::AuthEnableRequest>(
          command.request, [this](auto& auth, const auto&) { return auth.Enable(writer()); });
      return true;
    case Command::kAuthDisableFieldNumber:
      ChangeAuth<pb::AuthDisableRequest>(command.request, [this](auto& auth, const auto&) {
        auth.Disable(writer());
        return absl::OkStatus();
      });
      revoke_tokens("");
      return true;
    case Command::kUserAddFieldNumber:
      ChangeAuth<pb::AuthUserAddRequest>(command.request, [this](auto& auth, const auto& request) {
        return auth.AddUser(writer(), request);
      });
      return true;
    case Command::kUserDeleteFieldNumber:
      ChangeAuth<pb::AuthUserDeleteRequest>(command.request, [&](auto& auth, const auto& request) {
        outcome_->status = auth.DeleteUser(writer(), request.name());
        revoke_tokens(request.name());
        return outcome_->status;
      });
      return true;
    case Command::kUserChangePasswordFieldNumber:
      ChangeAuth<pb::AuthUserChangePasswordRequest>(command.request, [&](auto& auth,
                                                                         const auto& request) {
        outcome_->status = auth.ChangePassword(writer(), request.name(), request.hashedpassword());
        revoke_tokens(request.name());
        return outcome_->status;
      });
      return true;
    case Command::kUserGrantRoleFieldNumber:
      ChangeAuth<pb::AuthUserGrantRoleRequest>(
          command.request, [this](auto& auth, const auto& request) {
            return auth.GrantRole(writer(), request.user(), request.role());
          });
      return true;
    case Command::kUserRevokeRoleFieldNumber:
      ChangeAuth<pb::AuthUserRevokeRoleRequest>(
          command.request, [this](auto& auth, const auto& request) {
            return auth.RevokeRole(writer(), request.name(), request.role());
          });
      return true;
    case Command::kRoleAddFieldNumber:
      ChangeAuth<pb::AuthRoleAddRequest>(command.request, [this](auto& auth, const auto& request) {
        return auth.AddRole(writer(), request.name());
      });
      return true;
    case Command::kRoleDeleteFieldNumber:
      ChangeAuth<pb::AuthRoleDeleteRequest>(command.request,
                                            [this](auto& auth, const auto& request) {
                                              return auth.DeleteRole(writer(), request.role());
                                            });
      return true;
    case Command::kRoleGrantPermissionFieldNumber:
      ChangeAuth<pb::AuthRoleGrantPermissionRequest>(
          command.request, [this](auto& auth, const auto& request) {
            return auth.GrantPermission(writer(), request);
          });
      return true;
    case Command::kRoleRevokePermissionFieldNumber:
      ChangeAuth<pb::AuthRoleRevokePermissionRequest>(
          command.request, [this](auto& auth, const auto& request) {
            return auth.RevokePermission(writer(), request);
          });
      return true;
    default:
      return false;
  }
}

void Applier::ApplyAuthenticate(const kv::Authenticate& request) {
  const AuthState& auth = state_.auth();
  if (!auth.enabled()) {
    outcome_->status = ErrAuthNotEnabled();
    return;
  }
  const std::optional<Credentials> user = auth.CredentialsOf(request.name());
  if (!user.has_value() || user->no_password) {
    outcome_->status = ErrAuthFailed();
  } else if (request.checked_revision() != user->revision) {
    outcome_->status = ErrAuthOldRevision();  // the server checks the password again
  } else if (!request.random_part().empty()) {
    std::string token = base::StrCat(request.random_part(), ".", outcome_->index);
    AppendBytesField(etcdserverpb::AuthenticateResponse::kTokenFieldNumber, token, &outcome_->body);
    notices_->push_back([user = request.name(), token = std::move(token)](ApplySink& sink) {
      sink.OnTokenAssigned(user, token);
    });
  }
}

}  // namespace keel::kvstore
