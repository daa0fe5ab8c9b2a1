#include "kvstore/kvd/watch_guard.h"

#include <utility>

#include "base/strings.h"
#include "kvstore/auth/errors.h"

namespace keel::kvstore {

namespace {

// As Go's grpc prints a status, which is what etcd puts into cancel_reason.
std::string Reason(const absl::Status& status) {
  std::string_view code;
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      code = "Unauthenticated";
      break;
    case absl::StatusCode::kInvalidArgument:
      code = "InvalidArgument";
      break;
    case absl::StatusCode::kUnavailable:
      code = "Unavailable";
      break;
    default:
      code = "PermissionDenied";
      break;
  }
  return base::StrCat("rpc error: code = ", code, " desc = ", base::ToStd(status.message()));
}

absl::StatusOr<std::string> Refusal(const absl::Status& status) {
  return absl::Status(status.code(), Reason(status));
}

}  // namespace

absl::Status WatchGuard::Check(const Caller& caller, std::string_view key,
                               std::string_view range_end) const {
  const auto rights = gate_.state().RightsOf(caller);
  if (!rights.ok()) return rights.status();
  // As in etcd no key means the first there can be.
  if (key.empty()) key = std::string_view("\0", 1);
  return (*rights)->CanRead(key, range_end) ? absl::OkStatus() : ErrPermissionDenied();
}

void WatchGuard::Admit(const rpc::ServerCallPtr& call, std::string_view key,
                       std::string_view range_end, Admitted done) {
  absl::StatusOr<Caller> caller = gate_.IdentifyNow(*call);
  if (caller.ok() && Check(*caller, key, range_end).ok()) return done(std::move(caller->user));
  // This member may be behind: before it says no it catches up.
  gate_.GateOf(*call).Read(
      [this, call, key = std::string(key), range_end = std::string(range_end),
       done = std::move(done)](absl::StatusOr<ReadGate::ViewPtr> view) mutable {
        if (!view.ok()) return done(Refusal(view.status()));
        absl::StatusOr<Caller> known = gate_.IdentifyNow(*call);
        if (!known.ok()) return done(Refusal(known.status()));
        if (absl::Status refused = Check(*known, key, range_end); !refused.ok()) {
          return done(Refusal(refused));
        }
        done(std::move(known->user));
      });
}

bool WatchGuard::Allows(std::string_view user, std::string_view key,
                        std::string_view range_end) const {
  // Known once is known: the user counts, not the token, which may have run out since.
  const Caller caller{std::string(user), user.empty() ? 0 : gate_.state().revision()};
  return Check(caller, key, range_end).ok();
}

std::string_view WatchGuard::denial() const {
  static const auto* const reason = new std::string(Reason(ErrPermissionDenied()));
  return *reason;
}

}  // namespace keel::kvstore
