// The tokens that clients are given for a password and show with each request:
// simple ones (simple_tokens.h), or JWT (jwt.h).
//
// Thread-safety: everything from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "kvstore/auth/jwt.h"
#include "kvstore/auth/simple_tokens.h"
#include "kvstore/auth/state.h"

namespace keel::kvstore {

class Tokens {
 public:
  // `spec` as in --auth-token; `unix_ms` is the wall clock, by which JWT expire. Errors: what is
  // wrong with the specification or with the key files it names.
  static absl::StatusOr<std::unique_ptr<Tokens>> Create(const std::string& spec,
                                                        base::Duration simple_ttl,
                                                        std::function<uint64_t()> unix_ms);

  // Null `jwt`: simple tokens.
  Tokens(base::Duration simple_ttl, std::unique_ptr<Jwt> jwt, std::function<uint64_t()> unix_ms)
      : simple_(simple_ttl), jwt_(std::move(jwt)), unix_ms_(std::move(unix_ms)) {}

  // The entry of the log up to which this member must have applied to know the token; 0: any.
  uint64_t IndexOf(std::string_view token) const {
    return are_simple() ? SimpleTokens::IndexOf(token).value_or(0) : 0;
  }
  // Whose token it is, and of which revision of the auth state. ErrInvalidAuthToken; for a JWT of
  // an older revision ErrAuthOldRevision.
  absl::StatusOr<Caller> Find(std::string_view token, const AuthState& auth, base::TimePoint now);

  bool are_simple() const { return jwt_ == nullptr; }
  SimpleTokens& simple() { return simple_; }
  // REQUIRES: !are_simple().
  absl::StatusOr<std::string> Sign(const Caller& caller) const;

 private:
  static constexpr size_t kVerifiedMax = 10'000;

  int64_t UnixSeconds() const { return static_cast<int64_t>(unix_ms_() / 1000); }
  absl::StatusOr<JwtClaims> Verify(std::string_view token);

  SimpleTokens simple_;
  const std::unique_ptr<Jwt> jwt_;
  const std::function<uint64_t()> unix_ms_;
  // JWT that were found genuine, for that takes longer than a request.
  base::Mutex mutex_;
  absl::flat_hash_map<std::string, JwtClaims> verified_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keel::kvstore
