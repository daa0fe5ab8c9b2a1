// Tokens of service accounts: JSON Web Tokens in Kubernetes' form, made by TokenRequest and read by
// every request that carries one.
//
//   {"aud":["https://kubernetes.default.svc"],"exp":1700003600,"iat":1700000000,"iss":"https://...",
//    "jti":"...","kubernetes.io":{"namespace":"default","pod":{"name":"web-1","uid":"..."},
//    "serviceaccount":{"name":"web","uid":"..."}},"nbf":1700000000,
//    "sub":"system:serviceaccount:default:web"}
//
// A token counts as long as its service account is there with the same uid and, when it is bound to
// one, its pod, secret or node. What was verified once is remembered by its text, so that a request
// with a known token costs a look-up and not a signature.
//
// On the API server's loop only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/jwt.h"
#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/access/gates.h"

namespace keel::orchestrator {

class ServiceAccountTokens {
 public:
  // Reads the key files of the options. NotFound, InvalidArgument naming the file.
  static absl::StatusOr<std::unique_ptr<ServiceAccountTokens>> Create(const AccessOptions& options,
                                                                      ObjectView& view);

  // Whose token it is; Unauthorized when it is none of ours, expired, or its account has gone.
  // `audiences`: one of them must be among the token's; empty: the server's own. Those that are
  // among the token's go to `matched`, if given.
  absl::StatusOr<User> Verify(std::string_view token, const std::vector<std::string>& audiences,
                              absl::Time now, std::vector<std::string>* matched = nullptr);

  // Whether the text claims to be such a token (its issuer is ours): others need not be asked.
  bool IsOurs(std::string_view token) const;

  // The answer to a TokenRequest for a service account.
  absl::StatusOr<json::object> Request(std::string_view ns, std::string_view name,
                                       const json::object& request, absl::Time now);

  const std::vector<std::string>& audiences() const { return audiences_; }
  const std::string& issuer() const { return issuer_; }
  json::object JsonWebKeys() const;
  // The methods of the keys: ["ES256"].
  std::vector<std::string> Methods() const;

 private:
  struct Claims {
    std::string ns, account, account_uid;
    std::string bound_resource, bound_name, bound_uid;  // "pods", "secrets", "nodes"; or empty
    std::string node_name, node_uid;                    // where the pod was, for its user's extra
    std::string id;
    std::vector<std::string> audiences;
    int64_t expires = 0, not_before = 0;  // Unix seconds
  };

  explicit ServiceAccountTokens(ObjectView& view) : view_(view) {}
  absl::StatusOr<std::shared_ptr<const Claims>> Read(std::string_view token);
  absl::Status CheckAlive(const Claims& claims, absl::Time now);

  ObjectView& view_;
  std::string issuer_;
  std::vector<std::string> audiences_;
  absl::Duration max_expiration_;
  std::shared_ptr<base::JwtKey> signer_;  // null: none are made
  struct Known {
    std::shared_ptr<base::JwtKey> key;
    std::string pem;
  };
  std::vector<Known> keys_;
  // By the token's text; emptied when it is full.
  absl::flat_hash_map<std::string, std::shared_ptr<const Claims>> verified_;
};

// The user that a service account is.
User ServiceAccountUser(std::string_view ns, std::string_view name, std::string_view uid);

}  // namespace keel::orchestrator
