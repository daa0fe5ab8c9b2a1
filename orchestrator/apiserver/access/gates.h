// All the gates of an API server (access.h), made from its options: what apiserver/ needs to know
// of access/.
//
//   KEEL_ASSIGN_OR_RETURN(std::unique_ptr<Gates> gates, Gates::Create(options, view));
//   KEEL_ASSIGN_OR_RETURN(User user, gates->authenticator().Authenticate(certificate, token, now));
//   KEEL_ASSIGN_OR_RETURN(user, gates->Impersonate(std::move(user), request.headers));
//   KEEL_RETURN_IF_ERROR(gates->authorizer().Authorize(attributes));
//   if (Gates::IsReview(attributes.group, attributes.resource)) return gates->Review(...);
//   ... admission().Mutate, defaults and checks, admission().Validate, then the transaction
//
// At start, once the view is whole, and again whenever DefaultsVersion() has grown:
//   for (const WantedObject& wanted : gates->WantedObjects()) ... write it
//
// On the API server's loop only, as the view. Nothing here blocks after Create.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/apiserver/access.h"

namespace keel::orchestrator {

// Named as kube-apiserver's flags are.
struct AccessOptions {
  bool anonymous_auth = true;
  std::string token_auth_file{};  // CSV: token,user,uid,"group1,group2"
  // PEM files, public or private keys: who signed with one of them made a token that counts.
  std::vector<std::string> service_account_key_files{};
  // PEM; signs new tokens (and counts among the above). Empty: TokenRequest is refused.
  std::string service_account_signing_key_file{};
  std::string service_account_issuer = "https://kubernetes.default.svc";
  std::vector<std::string> api_audiences{};                                    // empty: the issuer
  absl::Duration service_account_max_token_expiration = absl::ZeroDuration();  // 0: no bound
  // "AlwaysAllow", "AlwaysDeny", "Node", "RBAC": the first that allows decides.
  std::vector<std::string> authorization_modes = {"Node", "RBAC"};
  std::vector<std::string> disable_admission_plugins{};  // "ServiceAccount", ...
  std::string encryption_provider_config{};              // EncryptionConfiguration, YAML or JSON
};

// An object that has to be there, as it is to be written.
struct WantedObject {
  std::string resource;  // as in ObjectView
  std::string ns{};
  std::string name{};
  int64_t mod_revision = 0;  // 0: create; else update, if it is still that
  json::object object{};
};

class Gates {
 public:
  // InvalidArgument, NotFound, naming the file or flag that is wrong. `view` outlives it.
  static absl::StatusOr<std::unique_ptr<Gates>> Create(const AccessOptions& options,
                                                       ObjectView& view);
  virtual ~Gates() = default;

  virtual Authenticator& authenticator() = 0;
  virtual Authorizer& authorizer() = 0;
  virtual Admission& admission() = 0;
  virtual ValueTransformer& transformer() = 0;

  // Who the request is made as: the Impersonate-* headers, if there are any and the user may.
  // `headers`: names in lower case. Forbidden, BadRequest.
  virtual absl::StatusOr<User> Impersonate(
      User user, const std::vector<std::pair<std::string, std::string>>& headers) = 0;

  // Resources of which only creations exist, and nothing is stored:
  //   authentication.k8s.io/v1: tokenreviews, selfsubjectreviews
  //   authorization.k8s.io/v1: subjectaccessreviews, localsubjectaccessreviews,
  //                            selfsubjectaccessreviews, selfsubjectrulesreviews
  static bool IsReview(std::string_view group, std::string_view resource);
  // The answer to such a creation (which was authorized already): the object with its status.
  virtual absl::StatusOr<json::object> Review(const Attributes& attributes,
                                              const json::object& request, absl::Time now) = 0;
  // POST .../serviceaccounts/NAME/token: the TokenRequest with its status.
  virtual absl::StatusOr<json::object> RequestToken(const Attributes& attributes,
                                                    const json::object& request,
                                                    absl::Time now) = 0;
  // What GET /openid/v1/jwks and /.well-known/openid-configuration answer.
  virtual json::object JsonWebKeys() = 0;
  virtual json::object OpenIdConfiguration() = 0;

  // The namespaces, priority classes, roles and bindings that every cluster has and that are not
  // there, or lack what they must have, and aggregated cluster roles whose rules are old.
  virtual std::vector<WantedObject> WantedObjects() = 0;
  virtual uint64_t DefaultsVersion() = 0;

  // Whether the store holds secrets under an older key: those of `resource` to be written again as
  // they are (each through the transformer), for all resources that are encrypted.
  virtual std::vector<std::string> EncryptedResources() = 0;
};

}  // namespace keel::orchestrator
