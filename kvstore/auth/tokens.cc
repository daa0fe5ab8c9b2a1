#include "kvstore/auth/tokens.h"

#include <optional>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/auth/errors.h"

namespace keel::kvstore {

absl::StatusOr<std::unique_ptr<Tokens>> Tokens::Create(const std::string& spec,
                                                       base::Duration simple_ttl,
                                                       std::function<uint64_t()> unix_ms) {
  std::unique_ptr<Jwt> jwt;
  if (spec != "simple") {
    KEEL_ASSIGN_OR_RETURN(const JwtOptions options, ParseJwtOptions(spec));
    KEEL_ASSIGN_OR_RETURN(jwt, Jwt::Create(options));
  }
  return std::make_unique<Tokens>(simple_ttl, std::move(jwt), std::move(unix_ms));
}

absl::StatusOr<Caller> Tokens::Find(std::string_view token, const AuthState& auth,
                                    base::TimePoint now) {
  // Before the token is looked up: a change in between makes the caller's revision old, never new.
  const uint64_t revision = auth.revision();
  if (!are_simple()) {
    KEEL_ASSIGN_OR_RETURN(JwtClaims claims, Verify(token));
    if (claims.caller.revision < revision) return ErrAuthOldRevision();
    return std::move(claims.caller);
  }
  std::optional<std::string> user = simple_.Use(token, now);
  if (!user.has_value()) return ErrInvalidAuthToken();
  return Caller{*std::move(user), revision};
}

absl::StatusOr<JwtClaims> Tokens::Verify(std::string_view token) {
  const int64_t now = UnixSeconds();
  {
    base::MutexLock lock(&mutex_);
    const auto found = verified_.find(base::ToAbsl(token));
    if (found != verified_.end()) {
      if (found->second.expires > now) return found->second;
      verified_.erase(found);
    }
  }
  KEEL_ASSIGN_OR_RETURN(JwtClaims claims, jwt_->Verify(token, now));
  base::MutexLock lock(&mutex_);
  if (verified_.size() >= kVerifiedMax) verified_.clear();
  verified_.emplace(std::string(token), claims);
  return claims;
}

absl::StatusOr<std::string> Tokens::Sign(const Caller& caller) const {
  KEEL_CHECK(!are_simple());
  return jwt_->Sign(caller, UnixSeconds());
}

}  // namespace keel::kvstore
