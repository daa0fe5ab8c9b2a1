// The tokens that clients are given for a password and show with each request.
//
// Thread-safety: everything from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "kvstore/auth/simple_tokens.h"
#include "kvstore/auth/state.h"

namespace keel::kvstore {

class Tokens {
 public:
  explicit Tokens(base::Duration simple_ttl) : simple_(simple_ttl) {}

  // The entry of the log up to which this member must have applied to know the token; 0: any.
  uint64_t IndexOf(std::string_view token) const {
    return SimpleTokens::IndexOf(token).value_or(0);
  }
  // Whose token it is, and of which revision of the auth state. ErrInvalidAuthToken.
  absl::StatusOr<Caller> Find(std::string_view token, const AuthState& auth, base::TimePoint now);

  bool are_simple() const { return true; }
  SimpleTokens& simple() { return simple_; }

 private:
  SimpleTokens simple_;
};

}  // namespace keel::kvstore
