// Who the client of a call is, and whether it may: asked in front of every
// request while authentication is on. Off, a request costs one relaxed load.
//
//   if (gate.on()) return gate.Admit(std::move(call), CheckPut, [](Call call, Caller caller) { ...
//   });
//
// A client shows a token ("token" in the metadata, or "authorization", which
// the JSON gateway passes on), or is known by its certificate's common name.
//
// This member may be behind: a token may stand in an entry of the log that it
// has not applied, and so may the grant without which it would refuse. Before
// it says no it therefore asks for a read index and looks again.
//
// Thread-safety: everything on the loop of the call, where callbacks run too.
#pragma once

#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "kvstore/auth/state.h"
#include "kvstore/server/context.h"
#include "kvstore/server/read_gate.h"
#include "rpc/server.h"

namespace keel::kvstore {

class Tokens;

// Whether a caller may make a request (its bytes, which parse).
using AccessCheck = absl::Status (*)(const AuthState& auth, const Caller& caller,
                                     std::string_view request);

absl::Status CheckRoot(const AuthState& auth, const Caller& caller, std::string_view request);
absl::Status CheckSomebody(const AuthState& auth, const Caller& caller, std::string_view request);
// Of the KV service: RangeRequest, PutRequest, ...
absl::Status CheckRangeAccess(const AuthState& auth, const Caller& caller,
                              std::string_view request);
absl::Status CheckPutAccess(const AuthState& auth, const Caller& caller, std::string_view request);
absl::Status CheckDeleteAccess(const AuthState& auth, const Caller& caller,
                               std::string_view request);
absl::Status CheckTxnAccess(const AuthState& auth, const Caller& caller, std::string_view request);
// That the caller is somebody, told apart at the present revision: the rest is asked at apply.
absl::Status CheckPresent(const AuthState& auth, const Caller& caller, std::string_view request);

class AuthGate {
 public:
  using Call = rpc::ServerCallPtr;

  // One gate for each of context->io_loops.
  AuthGate(ServerContext* context, Tokens* tokens, std::vector<ReadGate*> gates)
      : context_(context), tokens_(*tokens), gates_(std::move(gates)) {}

  // REQUIRES of all below: the server has started.
  bool on() const { return context_->auth->enabled(); }
  const AuthState& state() const { return *context_->auth; }

  // Calls `then` at once, or after a read index when the token's entry is not applied here.
  // Nobody (revision 0) when no identity is shown. ErrInvalidAuthToken.
  void Identify(Call call, absl::AnyInvocable<void(absl::StatusOr<Caller>)> then);
  // The same without waiting.
  absl::StatusOr<Caller> IdentifyNow(const rpc::ServerCall& call);
  // The caller if it may, by what this member knows; else why not.
  absl::StatusOr<Caller> AdmitNow(const rpc::ServerCall& call, AccessCheck check);

  // Calls `then` if the caller may; else ends the call.
  void Admit(Call call, AccessCheck check, absl::AnyInvocable<void(Call, Caller)> then);

  ReadGate& GateOf(const rpc::ServerCall& call) const;

 private:
  // Whether the token can only be told after more of the log has been applied.
  bool IsAhead(const rpc::ServerCall& call) const;
  void AdmitAfterRound(Call call, AccessCheck check, absl::AnyInvocable<void(Call, Caller)> then);

  ServerContext* const context_;
  Tokens& tokens_;
  const std::vector<ReadGate*> gates_;
};

}  // namespace keel::kvstore
