// JSON Web Tokens (RFC 7519) in their compact form, with the algorithms of RFC 7518 and RFC 8037:
// signing claims, and telling whether a token was signed with a key. What the claims mean is the
// caller's.
//
//   KEEL_ASSIGN_OR_RETURN(std::unique_ptr<JwtKey> key, JwtKey::Create({.method = "ES256",
//                                                                      .private_key = pem}));
//   KEEL_ASSIGN_OR_RETURN(std::string token, key->Sign(R"({"alg":"ES256","typ":"JWT"})", claims));
//   std::optional<JwtParts> parts = SplitJwt(token);
//   if (parts && AlgIn(parts->header) == key->method() && key->Signed(*parts)) Use(parts->claims);
//
// The algorithm is the key's: what a token's header says must only be compared with it.
//
// Thread-safety: const methods from any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keel::base {

struct JwtKeyOptions {
  std::string method{};       // HS256 to HS512, RS*, PS*, ES*, EdDSA
  std::string public_key{};   // PEM; derived from the private one when empty
  std::string private_key{};  // PEM, or HMAC's secret; empty: tokens are read, not made
};

// A token taken apart, unchecked. The view points into it.
struct JwtParts {
  std::string header;  // JSON
  std::string claims;  // JSON
  std::string signature;
  std::string_view signed_text;
};
// nullopt for what is not three parts of unpadded base64url.
std::optional<JwtParts> SplitJwt(std::string_view token);

class JwtKey {
 public:
  // InvalidArgument for a key that is none, or not of the method's kind.
  static absl::StatusOr<std::unique_ptr<JwtKey>> Create(const JwtKeyOptions& options);
  virtual ~JwtKey() = default;

  virtual const std::string& method() const = 0;
  // The hash (SHA-256, base64url) of the public key: the same for all who know it, as Kubernetes
  // names keys. Empty for HMAC.
  virtual const std::string& id() const = 0;

  // The token. FailedPrecondition without a private key.
  virtual absl::StatusOr<std::string> Sign(std::string_view header_json,
                                           std::string_view claims_json) const = 0;
  virtual bool Signed(const JwtParts& parts) const = 0;
};

// The method that fits the PEM of a key, private or public: RS256, ES256, ES384, ES512, EdDSA;
// empty for what is no such key.
std::string JwtMethodOf(const std::string& pem);

}  // namespace keel::base
