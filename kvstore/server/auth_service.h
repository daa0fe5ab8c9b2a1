// etcdserverpb.Auth: users, roles, permissions, switching authentication on
// and off, and tokens for passwords.
//
// Changes go through the log; answers about what there is come after a read
// index. Passwords are hashed and checked on threads of their own
// (kvstore/auth/password.h): beyond a bound on those waiting a login is refused
// with "too many requests".
//
// Thread-safety: as service.h. Lifetime: outlives the rpc::Server's last call.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "kvstore/auth/password.h"
#include "kvstore/auth/tokens.h"
#include "kvstore/server/auth_gate.h"
#include "kvstore/server/context.h"
#include "kvstore/server/proposals.h"
#include "rpc/server.h"

namespace keel::kvstore {

class AuthService {
 public:
  AuthService(ServerContext* context, Proposals* proposals, AuthGate* gate, Tokens* tokens);

  void RegisterOn(rpc::Server* server);
  // Waits for the password that is being checked, and drops those that wait. Idempotent.
  void Stop() { workers_.Stop(); }

 private:
  using Call = rpc::ServerCallPtr;

  void Authenticate(Call call, int tries);
  void CheckPassword(Call call, int tries);
  // Ends the call, and logs it, though not each of many within a second. From any thread.
  void RefuseLogin(const Call& call, std::string_view name, std::string_view why);
  // With a password found right at `revision`.
  void AssignToken(Call call, uint64_t revision, int tries);
  // The answer to a login that the log has let pass.
  void ReplyToken(Call call, ApplyResult& result, uint64_t revision);
  void UserAdd(Call call);
  void ChangePassword(Call call);
  // `then` gets a new hash, on the loop of the call.
  void Hash(Call call, std::string password, absl::AnyInvocable<void(Call, std::string hash)> then);
  // Proposes a change that root alone may make.
  void Change(CommandField field, Call call);
  void Propose(CommandField field, Call call, std::string request, const Caller& caller);
  // Answers from the state, after a read index.
  void Read(Call call, AccessCheck check, void (*answer)(AuthService&, const Call&));

  ServerContext* const context_;
  Proposals* const proposals_;
  AuthGate* const gate_;
  Tokens* const tokens_;
  KnownPasswords known_;
  std::atomic<int64_t> refusal_logged_seconds_{0};
  std::atomic<uint64_t> refusals_unlogged_{0};
  PasswordWorkers workers_;  // last: its threads use what is above
};

}  // namespace keel::kvstore
