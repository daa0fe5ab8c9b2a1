// JSON Web Tokens (RFC 7519) as etcd makes and reads them: signed by a key that
// all members share, so that any of them, and anybody else with the public
// key, can tell whose it is without having seen it before.
//
//   KEEL_ASSIGN_OR_RETURN(JwtOptions options,
//                         ParseJwtOptions("jwt,pub-key=a.pub,priv-key=a.key,sign-method=RS256"));
//   KEEL_ASSIGN_OR_RETURN(std::unique_ptr<Jwt> jwt, Jwt::Create(options));
//   KEEL_ASSIGN_OR_RETURN(std::string token, jwt->Sign({.user = "jane", .revision = 7},
//   unix_seconds));
//
// Claims: username, revision (of the auth state in which the password was
// right) and exp. The algorithm must be the configured one: what the token's
// header says is only compared with it.
//
// Thread-safety: const methods from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "kvstore/auth/state.h"

namespace keel::kvstore {

struct JwtOptions {
  std::string sign_method;  // HS256 to HS512, RS*, PS*, ES*, EdDSA
  std::string public_key;   // PEM; derived from the private one when empty
  std::string private_key;  // PEM, or HMAC's secret; empty: tokens are read, not made
  base::Duration ttl = std::chrono::minutes(5);
};

// Of "jwt,KEY=VALUE,..." as in --auth-token; reads the files named. InvalidArgument, naming what is
// wrong; the file system's errors.
absl::StatusOr<JwtOptions> ParseJwtOptions(std::string_view text);

struct JwtClaims {
  Caller caller;
  int64_t expires = 0;  // Unix time in seconds
};

class Jwt {
 public:
  // InvalidArgument for a key that is none, or not of the method's kind.
  static absl::StatusOr<std::unique_ptr<Jwt>> Create(const JwtOptions& options);
  virtual ~Jwt() = default;

  // FailedPrecondition without a private key.
  virtual absl::StatusOr<std::string> Sign(const Caller& caller, int64_t unix_seconds) const = 0;
  // Unauthenticated (ErrInvalidAuthToken) for what is forged, expired or no token.
  virtual absl::StatusOr<JwtClaims> Verify(std::string_view token, int64_t unix_seconds) const = 0;
};

}  // namespace keel::kvstore
