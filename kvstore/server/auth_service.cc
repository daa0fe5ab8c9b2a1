#include "kvstore/server/auth_service.h"

#include <chrono>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/log.h"
#include "base/strings.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/apply/command.pb.h"
#include "kvstore/auth/errors.h"
#include "kvstore/server/errors.h"
#include "kvstore/server/service.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;

namespace {

// A login is begun anew when users were changed while its password was checked.
constexpr int kMaxTries = 10;

absl::Status CheckUserGet(const AuthState& auth, const Caller& caller, std::string_view request) {
  const auto* get = ParseScratch<pb::AuthUserGetRequest>(request);
  if (get == nullptr) return ErrUnmarshal();
  absl::Status refused = auth.CheckAdmin(caller);
  if (!refused.ok() && !caller.user.empty() && get->name() == caller.user) return absl::OkStatus();
  return refused;
}

absl::Status CheckRoleGet(const AuthState& auth, const Caller& caller, std::string_view request) {
  const auto* get = ParseScratch<pb::AuthRoleGetRequest>(request);
  if (get == nullptr) return ErrUnmarshal();
  absl::Status refused = auth.CheckAdmin(caller);
  if (!refused.ok() && auth.HasRole(caller.user, get->role())) return absl::OkStatus();
  return refused;
}

template <typename Message>
bool Parses(std::string_view bytes) {
  return ParseScratch<Message>(bytes) != nullptr;
}

}  // namespace

AuthService::AuthService(ServerContext* context, Proposals* proposals, AuthGate* gate,
                         Tokens* tokens)
    : context_(context),
      proposals_(proposals),
      gate_(gate),
      tokens_(tokens),
      workers_({.threads = context->config.password_threads,
                .queued_max = context->config.passwords_queued_max}) {}

void AuthService::RegisterOn(rpc::Server* server) {
  const auto on = [this, server](const char* method, rpc::Server::UnaryHandler handler) {
    Register(server, std::string("/etcdserverpb.Auth/") + method, context_, {}, std::move(handler));
  };
  const auto change = [this, &on](const char* method, CommandField field,
                                  bool (*parses)(std::string_view)) {
    on(method, [this, field, parses](Call call) {
      if (!parses(call->request())) return call->Finish(ErrUnmarshal());
      Change(field, std::move(call));
    });
  };
  on("Authenticate", [this](Call call) { Authenticate(std::move(call), 0); });
  on("UserAdd", [this](Call call) { UserAdd(std::move(call)); });
  on("UserChangePassword", [this](Call call) { ChangePassword(std::move(call)); });
  change("AuthEnable", CommandField::kAuthEnable, Parses<pb::AuthEnableRequest>);
  change("AuthDisable", CommandField::kAuthDisable, Parses<pb::AuthDisableRequest>);
  change("UserDelete", CommandField::kUserDelete, Parses<pb::AuthUserDeleteRequest>);
  change("UserGrantRole", CommandField::kUserGrantRole, Parses<pb::AuthUserGrantRoleRequest>);
  change("UserRevokeRole", CommandField::kUserRevokeRole, Parses<pb::AuthUserRevokeRoleRequest>);
  change("RoleAdd", CommandField::kRoleAdd, Parses<pb::AuthRoleAddRequest>);
  change("RoleDelete", CommandField::kRoleDelete, Parses<pb::AuthRoleDeleteRequest>);
  change("RoleGrantPermission", CommandField::kRoleGrantPermission,
         Parses<pb::AuthRoleGrantPermissionRequest>);
  change("RoleRevokePermission", CommandField::kRoleRevokePermission,
         Parses<pb::AuthRoleRevokePermissionRequest>);

  on("AuthStatus", [this](Call call) {
    Read(std::move(call), CheckRoot, [](AuthService& self, const Call& to) {
      pb::AuthStatusResponse response;
      response.set_enabled(self.gate_->on());
      response.set_authrevision(self.gate_->state().revision());
      to->Reply(WithHeader(*self.context_, self.context_->machine->view()->revision(),
                           response.SerializeAsString()));
    });
  });
  on("UserList", [this](Call call) {
    Read(std::move(call), CheckRoot, [](AuthService& self, const Call& to) {
      pb::AuthUserListResponse response;
      for (std::string& name : self.gate_->state().UserNames()) response.add_users(std::move(name));
      to->Reply(WithHeader(*self.context_, self.context_->machine->view()->revision(),
                           response.SerializeAsString()));
    });
  });
  on("RoleList", [this](Call call) {
    Read(std::move(call), CheckRoot, [](AuthService& self, const Call& to) {
      pb::AuthRoleListResponse response;
      for (std::string& name : self.gate_->state().RoleNames()) response.add_roles(std::move(name));
      to->Reply(WithHeader(*self.context_, self.context_->machine->view()->revision(),
                           response.SerializeAsString()));
    });
  });
  on("UserGet", [this](Call call) {
    if (!Parses<pb::AuthUserGetRequest>(call->request())) return call->Finish(ErrUnmarshal());
    Read(std::move(call), CheckUserGet, [](AuthService& self, const Call& to) {
      const auto* request = ParseScratch<pb::AuthUserGetRequest>(to->request());
      absl::StatusOr<std::vector<std::string>> roles = self.gate_->state().Roles(request->name());
      if (!roles.ok()) return to->Finish(roles.status());
      pb::AuthUserGetResponse response;
      for (std::string& role : *roles) response.add_roles(std::move(role));
      to->Reply(WithHeader(*self.context_, self.context_->machine->view()->revision(),
                           response.SerializeAsString()));
    });
  });
  on("RoleGet", [this](Call call) {
    if (!Parses<pb::AuthRoleGetRequest>(call->request())) return call->Finish(ErrUnmarshal());
    Read(std::move(call), CheckRoleGet, [](AuthService& self, const Call& to) {
      const auto* request = ParseScratch<pb::AuthRoleGetRequest>(to->request());
      absl::StatusOr<std::vector<authpb::Permission>> permissions =
          self.gate_->state().Permissions(request->role());
      if (!permissions.ok()) return to->Finish(permissions.status());
      pb::AuthRoleGetResponse response;
      for (authpb::Permission& permission : *permissions) *response.add_perm() = permission;
      to->Reply(WithHeader(*self.context_, self.context_->machine->view()->revision(),
                           response.SerializeAsString()));
    });
  });
}

void AuthService::Read(Call call, AccessCheck check, void (*answer)(AuthService&, const Call&)) {
  ReadGate& gate = gate_->GateOf(*call);
  gate.Read([this, call = std::move(call), check, answer](absl::StatusOr<ReadGate::ViewPtr> view) {
    if (!view.ok()) return call->Finish(view.status());
    if (!gate_->on()) return answer(*this, call);
    const absl::StatusOr<Caller> caller = gate_->AdmitNow(*call, check);
    if (!caller.ok()) return call->Finish(caller.status());
    answer(*this, call);
  });
}

// ---- changes

void AuthService::Change(CommandField field, Call call) {
  if (!gate_->on()) {
    std::string request(call->request());
    return Propose(field, std::move(call), std::move(request), Caller());
  }
  gate_->Admit(std::move(call), CheckRoot, [this, field](Call admitted, Caller caller) {
    std::string request(admitted->request());
    Propose(field, std::move(admitted), std::move(request), caller);
  });
}

void AuthService::Propose(CommandField field, Call call, std::string request,
                          const Caller& caller) {
  proposals_->Propose(
      field, request,
      [context = context_, call = std::move(call)](absl::Status error, ApplyResult* result) {
        if (!error.ok()) return call->Finish(std::move(error));
        if (!result->status.ok()) return call->Finish(std::move(result->status));
        call->Reply(WithHeader(*context, result->revision, result->body));
      },
      /*only_in_term=*/0, &caller);
}

void AuthService::Hash(Call call, std::string password,
                       absl::AnyInvocable<void(Call, std::string hash)> then) {
  // The call is still here to be refused when the task is not taken.
  Call to = call;
  const bool taken = workers_.Post([this, call = std::move(call), password = std::move(password),
                                    then = std::move(then)]() mutable {
    if (call->cancelled()) return;
    absl::StatusOr<std::string> hash = HashPassword(password, context_->config.bcrypt_cost);
    if (!hash.ok()) return call->Finish(hash.status());
    base::Loop& loop = call->loop();
    loop.Post([call = std::move(call), hash = *std::move(hash), then = std::move(then)]() mutable {
      then(std::move(call), std::move(hash));
    });
  });
  if (!taken) to->Finish(ErrTooManyRequests());
}

void AuthService::UserAdd(Call call) {
  if (!Parses<pb::AuthUserAddRequest>(call->request())) return call->Finish(ErrUnmarshal());
  const auto add = [this](Call admitted, Caller caller) {
    const auto* request = ParseScratch<pb::AuthUserAddRequest>(admitted->request());
    if (request->name().empty()) return admitted->Finish(ErrUserEmpty());
    pb::AuthUserAddRequest logged = *request;
    logged.clear_password();
    logged.clear_hashedpassword();
    if (request->options().no_password()) {
      return Propose(CommandField::kUserAdd, std::move(admitted), logged.SerializeAsString(),
                     caller);
    }
    std::string password = request->password();
    Hash(std::move(admitted), std::move(password),
         [this, logged = std::move(logged), caller = std::move(caller)](Call to,
                                                                        std::string hash) mutable {
           logged.set_hashedpassword(std::move(hash));
           Propose(CommandField::kUserAdd, std::move(to), logged.SerializeAsString(), caller);
         });
  };
  if (!gate_->on()) return add(std::move(call), Caller());
  gate_->Admit(std::move(call), CheckRoot, add);
}

void AuthService::ChangePassword(Call call) {
  if (!Parses<pb::AuthUserChangePasswordRequest>(call->request())) {
    return call->Finish(ErrUnmarshal());
  }
  const auto change = [this](Call admitted, Caller caller) {
    const auto* request = ParseScratch<pb::AuthUserChangePasswordRequest>(admitted->request());
    pb::AuthUserChangePasswordRequest logged;
    logged.set_name(request->name());
    std::string password = request->password();
    Hash(std::move(admitted), std::move(password),
         [this, logged = std::move(logged), caller = std::move(caller)](Call to,
                                                                        std::string hash) mutable {
           logged.set_hashedpassword(std::move(hash));
           Propose(CommandField::kUserChangePassword, std::move(to), logged.SerializeAsString(),
                   caller);
         });
  };
  if (!gate_->on()) return change(std::move(call), Caller());
  gate_->Admit(std::move(call), CheckRoot, change);
}

// ---- logins

void AuthService::Authenticate(Call call, int tries) {
  if (!Parses<pb::AuthenticateRequest>(call->request())) return call->Finish(ErrUnmarshal());
  ReadGate& gate = gate_->GateOf(*call);
  gate.Read([this, call = std::move(call), tries](absl::StatusOr<ReadGate::ViewPtr> view) mutable {
    if (!view.ok()) return call->Finish(view.status());
    CheckPassword(std::move(call), tries);
  });
}

void AuthService::CheckPassword(Call call, int tries) {
  if (!gate_->on()) return call->Finish(ErrAuthNotEnabled());
  const auto* request = ParseScratch<pb::AuthenticateRequest>(call->request());
  std::optional<Credentials> user = gate_->state().CredentialsOf(request->name());
  if (!user.has_value()) return RefuseLogin(call, request->name(), "no such user");
  if (user->no_password) return call->Finish(ErrNoPasswordUser());
  if (known_.Contains(user->hash, request->password())) {
    return AssignToken(std::move(call), user->revision, tries);
  }
  const Call to = call;
  const bool taken =
      workers_.Post([this, call = std::move(call), user = *std::move(user), name = request->name(),
                     password = request->password(), tries]() mutable {
        if (call->cancelled()) return;
        if (!PasswordMatches(user.hash, password)) return RefuseLogin(call, name, "wrong password");
        known_.Add(user.hash, password);
        base::Loop& loop = call->loop();
        loop.Post([this, call = std::move(call), revision = user.revision, tries]() mutable {
          AssignToken(std::move(call), revision, tries);
        });
      });
  if (!taken) to->Finish(ErrTooManyRequests());
}

void AuthService::RefuseLogin(const Call& call, std::string_view name, std::string_view why) {
  const int64_t second = std::chrono::duration_cast<std::chrono::seconds>(
                             std::chrono::steady_clock::now().time_since_epoch())
                             .count();
  if (refusal_logged_seconds_.exchange(second) == second) {
    refusals_unlogged_.fetch_add(1);
  } else {
    base::Log().warn("refused login user={} remote={} error=\"{}\" not_logged_before={}",
                     absl::CHexEscape(base::ToAbsl(name.substr(0, 100))), call->peer(), why,
                     refusals_unlogged_.exchange(0));
  }
  call->Finish(ErrAuthFailed());
}

void AuthService::AssignToken(Call call, uint64_t revision, int tries) {
  const auto* request = ParseScratch<pb::AuthenticateRequest>(call->request());
  keel::kv::Authenticate command;
  command.set_name(request->name());
  if (tokens_->are_simple()) command.set_random_part(SimpleTokens::RandomPart());
  command.set_checked_revision(revision);
  proposals_->Propose(CommandField::kAuthenticate, command.SerializeAsString(),
                      [this, call = std::move(call), revision, tries](absl::Status error,
                                                                      ApplyResult* result) mutable {
                        if (!error.ok()) return call->Finish(std::move(error));
                        if (result->status == ErrAuthOldRevision() && tries < kMaxTries) {
                          base::Loop& loop = call->loop();
                          return loop.Post([this, call = std::move(call), tries]() mutable {
                            CheckPassword(std::move(call), tries + 1);
                          });
                        }
                        if (!result->status.ok()) return call->Finish(std::move(result->status));
                        ReplyToken(std::move(call), *result, revision);
                      });
}

void AuthService::ReplyToken(Call call, ApplyResult& result, uint64_t revision) {
  if (tokens_->are_simple()) {
    return call->Reply(WithHeader(*context_, result.revision, result.body));
  }
  const Call to = call;
  const bool taken = workers_.Post([this, call = std::move(call), revision, at = result.revision] {
    pb::AuthenticateRequest request;
    const std::string_view bytes = call->request();
    request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    absl::StatusOr<std::string> token = tokens_->Sign({request.name(), revision});
    if (!token.ok()) return call->Finish(token.status());
    pb::AuthenticateResponse response;
    response.set_token(*std::move(token));
    call->Reply(WithHeader(*context_, at, response.SerializeAsString()));
  });
  if (!taken) to->Finish(ErrTooManyRequests());
}

}  // namespace keel::kvstore
