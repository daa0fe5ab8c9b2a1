#include "kvstore/server/auth_gate.h"

#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "kvstore/apply/access.h"
#include "kvstore/auth/errors.h"
#include "kvstore/auth/tokens.h"
#include "kvstore/server/service.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;

namespace {

constexpr int kMaxTries = 10;

std::string_view TokenOf(const rpc::ServerCall& call) {
  const std::string_view token = call.Metadata("token");
  return token.empty() ? call.Metadata("authorization") : token;
}

absl::Status Verdict(bool may) { return may ? absl::OkStatus() : ErrPermissionDenied(); }

}  // namespace

absl::Status CheckRoot(const AuthState& auth, const Caller& caller, std::string_view) {
  return auth.CheckAdmin(caller);
}

absl::Status CheckSomebody(const AuthState& auth, const Caller& caller, std::string_view) {
  return auth.CheckKnown(caller);
}

absl::Status CheckPresent(const AuthState& auth, const Caller& caller, std::string_view) {
  return auth.RightsOf(caller).status();
}

absl::Status CheckRangeAccess(const AuthState& auth, const Caller& caller,
                              std::string_view request) {
  const auto* range = ParseScratch<pb::RangeRequest>(request);
  if (range == nullptr) return ErrUnmarshal();
  KEEL_ASSIGN_OR_RETURN(const auto rights, auth.RightsOf(caller));
  return Verdict(MayRange(*rights, *range));
}

absl::Status CheckPutAccess(const AuthState& auth, const Caller& caller, std::string_view request) {
  const auto* put = ParseScratch<pb::PutRequest>(request);
  if (put == nullptr) return ErrUnmarshal();
  KEEL_ASSIGN_OR_RETURN(const auto rights, auth.RightsOf(caller));
  std::vector<int64_t> leases;  // asked where it is applied
  return Verdict(MayPut(*rights, PutView::Of(*put), &leases));
}

absl::Status CheckDeleteAccess(const AuthState& auth, const Caller& caller,
                               std::string_view request) {
  const auto* deletion = ParseScratch<pb::DeleteRangeRequest>(request);
  if (deletion == nullptr) return ErrUnmarshal();
  KEEL_ASSIGN_OR_RETURN(const auto rights, auth.RightsOf(caller));
  return Verdict(MayDeleteRange(*rights, *deletion));
}

absl::Status CheckTxnAccess(const AuthState& auth, const Caller& caller, std::string_view request) {
  const auto* txn = ParseScratch<pb::TxnRequest>(request);
  if (txn == nullptr) return ErrUnmarshal();
  KEEL_ASSIGN_OR_RETURN(const auto rights, auth.RightsOf(caller));
  std::vector<int64_t> leases;
  return Verdict(MayTxn(*rights, *txn, &leases));
}

ReadGate& AuthGate::GateOf(const rpc::ServerCall& call) const {
  for (ReadGate* gate : gates_) {
    if (&gate->loop() == &call.loop()) return *gate;
  }
  KEEL_CHECK(false, "a call on a loop without a gate");
  __builtin_unreachable();
}

bool AuthGate::IsAhead(const rpc::ServerCall& call) const {
  const std::string_view token = TokenOf(call);
  return !token.empty() && tokens_.IndexOf(token) > context_->node->applied_index();
}

absl::StatusOr<Caller> AuthGate::IdentifyNow(const rpc::ServerCall& call) {
  if (const std::string_view token = TokenOf(call); !token.empty()) {
    return tokens_.Find(token, state(), context_->loop->Now());
  }
  const std::optional<std::string_view> name = call.certificate_name();
  if (!name.has_value() || name->empty()) return Caller();
  return Caller{std::string(*name), state().revision()};
}

absl::StatusOr<Caller> AuthGate::AdmitNow(const rpc::ServerCall& call, AccessCheck check) {
  for (int tries = 0;; ++tries) {
    KEEL_ASSIGN_OR_RETURN(Caller caller, IdentifyNow(call));
    absl::Status refused = check(state(), caller, call.request());
    if (refused.ok()) return caller;
    // Users or roles changed between the two looks at them, which is no reason to say no.
    if (refused != ErrAuthOldRevision() || tries == kMaxTries) return refused;
  }
}

void AuthGate::Identify(Call call, absl::AnyInvocable<void(absl::StatusOr<Caller>)> then) {
  if (!IsAhead(*call)) return then(IdentifyNow(*call));
  ReadGate& gate = GateOf(*call);
  gate.Read([this, call = std::move(call),
             then = std::move(then)](absl::StatusOr<ReadGate::ViewPtr> view) mutable {
    then(view.ok() ? IdentifyNow(*call) : absl::StatusOr<Caller>(view.status()));
  });
}

void AuthGate::Admit(Call call, AccessCheck check, absl::AnyInvocable<void(Call, Caller)> then) {
  absl::StatusOr<Caller> caller = AdmitNow(*call, check);
  if (caller.ok()) return then(std::move(call), *std::move(caller));
  AdmitAfterRound(std::move(call), check, std::move(then));
}

void AuthGate::AdmitAfterRound(Call call, AccessCheck check,
                               absl::AnyInvocable<void(Call, Caller)> then) {
  ReadGate& gate = GateOf(*call);
  gate.Read([this, call = std::move(call), check,
             then = std::move(then)](absl::StatusOr<ReadGate::ViewPtr> view) mutable {
    if (!view.ok()) return call->Finish(view.status());
    absl::StatusOr<Caller> caller = AdmitNow(*call, check);
    if (!caller.ok()) return call->Finish(caller.status());
    then(std::move(call), *std::move(caller));
  });
}

}  // namespace keel::kvstore
