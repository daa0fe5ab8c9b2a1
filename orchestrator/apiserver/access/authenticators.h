// Who asks: client certificates, static tokens, service account tokens, and nobody.
//
//   UnionAuthenticator authenticator(options.anonymous_auth, std::move(static_tokens), tokens);
//
// A certificate that TLS verified names the user by its common name and the groups by its
// organizations. Without one, a bearer token does. A token that nobody knows is refused; without
// either, the user is system:anonymous. On the API server's loop only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "orchestrator/apiserver/access.h"
#include "orchestrator/apiserver/access/service_account_tokens.h"

namespace keel::orchestrator {

// The users of --token-auth-file: lines of CSV, `token,user,uid,"group1,group2"`; groups may be
// left out. InvalidArgument with the line.
absl::StatusOr<absl::flat_hash_map<std::string, User>> ParseTokenFile(std::string_view csv);

class UnionAuthenticator final : public Authenticator {
 public:
  // `tokens` outlives it.
  UnionAuthenticator(bool anonymous, absl::flat_hash_map<std::string, User> static_tokens,
                     ServiceAccountTokens& tokens);

  absl::StatusOr<User> Authenticate(const std::optional<PeerCertificate>& certificate,
                                    std::string_view authorization, absl::Time now) override;
  // Of a bare token, for one of the audiences (empty: the server's). Unauthorized.
  absl::StatusOr<User> AuthenticateToken(std::string_view token,
                                         const std::vector<std::string>& audiences, absl::Time now,
                                         std::vector<std::string>* matched);

 private:
  const bool anonymous_;
  const absl::flat_hash_map<std::string, User> static_tokens_;
  ServiceAccountTokens& tokens_;
};

}  // namespace keel::orchestrator
