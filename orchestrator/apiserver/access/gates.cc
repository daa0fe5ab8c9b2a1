#include "orchestrator/apiserver/access/gates.h"

#include <algorithm>

#include "base/file.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/apiserver/access/admission/plugin.h"
#include "orchestrator/apiserver/access/authenticators.h"
#include "orchestrator/apiserver/access/authorizer.h"
#include "orchestrator/apiserver/access/default_roles.h"
#include "orchestrator/apiserver/access/encryption.h"
#include "orchestrator/apiserver/access/impersonation.h"
#include "orchestrator/apiserver/access/node_authorizer.h"
#include "orchestrator/apiserver/access/rbac.h"
#include "orchestrator/apiserver/access/reviews.h"
#include "orchestrator/apiserver/access/service_account_tokens.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

absl::Status InFile(const std::string& file, const absl::Status& status) {
  return absl::Status(status.code(), StrCat(file, ": ", base::ToStd(status.message())));
}

class AllGates final : public Gates {
 public:
  explicit AllGates(ObjectView& view) : view_(view), wanted_(DefaultObjects()) {}

  absl::Status Init(const AccessOptions& options) {
    KEEL_ASSIGN_OR_RETURN(tokens_, ServiceAccountTokens::Create(options, view_));
    absl::flat_hash_map<std::string, User> users;
    if (const std::string& file = options.token_auth_file; !file.empty()) {
      KEEL_ASSIGN_OR_RETURN(const std::string csv, base::ReadFile(base::PosixFileSystem(), file));
      auto parsed = ParseTokenFile(csv);
      if (!parsed.ok()) return InFile(file, parsed.status());
      users = *std::move(parsed);
    }
    authenticator_ =
        std::make_unique<UnionAuthenticator>(options.anonymous_auth, std::move(users), *tokens_);
    std::vector<std::unique_ptr<Decider>> deciders;
    for (const std::string& mode : options.authorization_modes) {
      if (mode == "RBAC") {
        auto rbac = std::make_unique<RbacAuthorizer>(view_);
        rbac_ = rbac.get();
        deciders.push_back(std::move(rbac));
      } else if (mode == "Node") {
        deciders.push_back(std::make_unique<NodeAuthorizer>(view_));
      } else if (mode == "AlwaysAllow" || mode == "AlwaysDeny") {
        deciders.push_back(std::make_unique<FixedDecider>(mode == "AlwaysAllow"));
      } else {
        return absl::InvalidArgumentError(
            StrCat("--authorization-mode: unknown authorization mode ", mode,
                   ": AlwaysAllow, AlwaysDeny, Node and RBAC are known"));
      }
    }
    authorizer_ = std::make_unique<UnionAuthorizer>(std::move(deciders));
    KEEL_ASSIGN_OR_RETURN(
        admission_, MakeAdmission(view_, rbac_, *authorizer_, options.disable_admission_plugins));
    transformer_ = std::make_unique<EncryptionTransformer>();
    if (const std::string& file = options.encryption_provider_config; !file.empty()) {
      KEEL_ASSIGN_OR_RETURN(const std::string yaml, base::ReadFile(base::PosixFileSystem(), file));
      auto parsed = EncryptionTransformer::Parse(yaml);
      if (!parsed.ok()) return InFile(file, parsed.status());
      transformer_ = *std::move(parsed);
    }
    return absl::OkStatus();
  }

  Authenticator& authenticator() override { return *authenticator_; }
  Authorizer& authorizer() override { return *authorizer_; }
  Admission& admission() override { return *admission_; }
  ValueTransformer& transformer() override { return *transformer_; }

  absl::StatusOr<User> Impersonate(
      User user, const std::vector<std::pair<std::string, std::string>>& headers) override {
    return ImpersonatedUser(std::move(user), headers, *authorizer_);
  }

  absl::StatusOr<json::object> Review(const Attributes& attributes, const json::object& request,
                                      absl::Time now) override {
    return AnswerReview(attributes, request, *authenticator_, *authorizer_, now);
  }

  absl::StatusOr<json::object> RequestToken(const Attributes& attributes,
                                            const json::object& request, absl::Time now) override {
    return tokens_->Request(attributes.ns, attributes.name, request, now);
  }

  json::object JsonWebKeys() override { return tokens_->JsonWebKeys(); }

  json::object OpenIdConfiguration() override {
    json::array methods;
    for (const std::string& method : tokens_->Methods()) methods.emplace_back(method);
    json::array types, subjects;
    types.emplace_back("id_token");
    subjects.emplace_back("public");
    return {{"issuer", tokens_->issuer()},
            {"jwks_uri", StrCat(tokens_->issuer(), "/openid/v1/jwks")},
            {"response_types_supported", std::move(types)},
            {"subject_types_supported", std::move(subjects)},
            {"id_token_signing_alg_values_supported", std::move(methods)}};
  }

  std::vector<WantedObject> WantedObjects() override {
    std::vector<WantedObject> out;
    for (const WantedObject& wanted : wanted_) {
      // Roles and bindings are RBAC's.
      if (rbac_ == nullptr && wanted.resource.ends_with(".rbac.authorization.k8s.io")) continue;
      const auto there = view_.Get(wanted.resource, wanted.ns, wanted.name);
      if (!there.has_value()) {
        out.push_back(wanted);
        continue;
      }
      auto better = Reconciled(wanted.object, *there->object);
      if (!better.has_value()) continue;
      out.push_back(wanted);
      out.back().mod_revision = there->mod_revision;
      out.back().object = *std::move(better);
    }
    if (rbac_ != nullptr) AddStaleAggregates(out);
    return out;
  }

  uint64_t DefaultsVersion() override {
    return view_.Version(kClusterRoles) + view_.Version(kClusterRoleBindings) +
           view_.Version(kRoles) + view_.Version(kRoleBindings);
  }

  std::vector<std::string> EncryptedResources() override {
    return transformer_->EncryptedResources();
  }

 private:
  // Decisions do not need the rules of an aggregated role to be written down; those who read the
  // role do.
  void AddStaleAggregates(std::vector<WantedObject>& out) {
    for (const ObjectView::Entry& entry : view_.List(kClusterRoles, "")) {
      if (entry.object->if_contains("aggregationRule") == nullptr) continue;
      const std::string name(StringAt(*entry.object, {"metadata", "name"}));
      const auto rules = rbac_->RulesOfRole("ClusterRole", "", name);
      if (!rules.ok() || ParseRules(ArrayAt(*entry.object, {"rules"})) == *rules) continue;
      const auto listed = std::find_if(out.begin(), out.end(), [&](const WantedObject& one) {
        return one.resource == kClusterRoles && one.name == name;
      });
      if (listed != out.end()) {
        listed->object["rules"] = RulesToJson(*rules);
        continue;
      }
      WantedObject wanted{.resource = std::string(kClusterRoles),
                          .name = name,
                          .mod_revision = entry.mod_revision,
                          .object = *entry.object};
      wanted.object["rules"] = RulesToJson(*rules);
      out.push_back(std::move(wanted));
    }
  }

  ObjectView& view_;
  const std::vector<WantedObject> wanted_;
  std::unique_ptr<ServiceAccountTokens> tokens_;
  std::unique_ptr<UnionAuthenticator> authenticator_;
  std::unique_ptr<UnionAuthorizer> authorizer_;
  RbacAuthorizer* rbac_ = nullptr;  // one of the authorizer's; null: not among the modes
  std::unique_ptr<Admission> admission_;
  std::unique_ptr<EncryptionTransformer> transformer_;
};

}  // namespace

bool Gates::IsReview(std::string_view group, std::string_view resource) {
  return IsReviewResource(group, resource);
}

absl::StatusOr<std::unique_ptr<Gates>> Gates::Create(const AccessOptions& options,
                                                     ObjectView& view) {
  auto gates = std::make_unique<AllGates>(view);
  KEEL_RETURN_IF_ERROR(gates->Init(options));
  return gates;
}

}  // namespace keel::orchestrator
