#include "orchestrator/apiserver/access/service_account_tokens.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/pki/web_key.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/time.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr size_t kMaxVerified = 20'000;
constexpr int64_t kMinSeconds = 600;
constexpr int64_t kDefaultSeconds = 3600;
// A pod that is being deleted may use its token so much longer than its grace period.
constexpr absl::Duration kDeletedPodLeeway = absl::Seconds(60);

absl::StatusOr<std::shared_ptr<base::JwtKey>> ReadKey(const std::string& file, bool signs,
                                                      std::string* pem) {
  KEEL_ASSIGN_OR_RETURN(*pem, base::ReadFile(base::PosixFileSystem(), file));
  const std::string method = base::JwtMethodOf(*pem);
  if (method.empty()) {
    return absl::InvalidArgumentError(StrCat(file, " holds no RSA or ECDSA key in PEM"));
  }
  const bool is_private = pem->find("PRIVATE KEY") != std::string::npos;
  if (signs && !is_private) {
    return absl::InvalidArgumentError(StrCat(file, " holds no private key"));
  }
  base::JwtKeyOptions options{.method = method};
  (is_private ? options.private_key : options.public_key) = *pem;
  auto key = base::JwtKey::Create(options);
  if (!key.ok()) {
    return absl::InvalidArgumentError(StrCat(file, ": ", base::ToStd(key.status().message())));
  }
  return std::shared_ptr<base::JwtKey>(*std::move(key));
}

std::string NewUuid() {
  thread_local absl::BitGen random;
  const auto part = [] { return absl::Uniform<uint64_t>(random); };
  const uint64_t a = (part() & ~uint64_t{0xf000}) | 0x4000;                  // version 4
  const uint64_t b = (part() & ~(uint64_t{3} << 62)) | (uint64_t{1} << 63);  // variant 1
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", a >> 32, (a >> 16) & 0xffff, a & 0xffff,
                         b >> 48, b & 0xffffffffffff);
}

std::vector<std::string> Audiences(const json::value* aud) {
  std::vector<std::string> out;
  if (aud == nullptr) return out;
  if (aud->is_string()) out.emplace_back(View(aud->get_string()));
  if (aud->is_array()) {
    for (const json::value& one : aud->get_array()) {
      if (one.is_string()) out.emplace_back(View(one.get_string()));
    }
  }
  return out;
}

absl::Status Invalidated(std::string_view why) { return Unauthorized(why); }

json::array Array(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

}  // namespace

User ServiceAccountUser(std::string_view ns, std::string_view name, std::string_view uid) {
  return {.name = StrCat("system:serviceaccount:", ns, ":", name),
          .uid = std::string(uid),
          .groups = {"system:serviceaccounts", StrCat("system:serviceaccounts:", ns),
                     "system:authenticated"}};
}

absl::StatusOr<std::unique_ptr<ServiceAccountTokens>> ServiceAccountTokens::Create(
    const AccessOptions& options, ObjectView& view) {
  std::unique_ptr<ServiceAccountTokens> tokens(new ServiceAccountTokens(view));
  tokens->issuer_ = options.service_account_issuer;
  tokens->audiences_ = options.api_audiences;
  if (tokens->audiences_.empty()) tokens->audiences_ = {tokens->issuer_};
  tokens->max_expiration_ = options.service_account_max_token_expiration;
  std::string pem;
  if (!options.service_account_signing_key_file.empty()) {
    KEEL_ASSIGN_OR_RETURN(tokens->signer_,
                          ReadKey(options.service_account_signing_key_file, true, &pem));
    tokens->keys_.push_back({tokens->signer_, pem});
  }
  for (const std::string& file : options.service_account_key_files) {
    KEEL_ASSIGN_OR_RETURN(std::shared_ptr<base::JwtKey> key, ReadKey(file, false, &pem));
    const bool there = std::any_of(tokens->keys_.begin(), tokens->keys_.end(),
                                   [&](const Known& k) { return k.key->id() == key->id(); });
    if (!there) tokens->keys_.push_back({std::move(key), pem});
  }
  return tokens;
}

bool ServiceAccountTokens::IsOurs(std::string_view token) const {
  const auto parts = base::SplitJwt(token);
  if (!parts.has_value()) return false;
  const auto claims = ParseJson(parts->claims);
  return claims.ok() && StringAt(*claims, {"iss"}) == issuer_;
}

absl::StatusOr<std::shared_ptr<const ServiceAccountTokens::Claims>> ServiceAccountTokens::Read(
    std::string_view token) {
  if (const auto known = verified_.find(base::ToAbsl(token)); known != verified_.end())
    return known->second;
  const auto parts = base::SplitJwt(token);
  if (!parts.has_value()) return Invalidated("invalid bearer token");
  const auto header = ParseJson(parts->header);
  if (!header.ok()) return Invalidated("invalid bearer token");
  const std::string_view method = StringAt(*header, {"alg"}), id = StringAt(*header, {"kid"});
  const bool genuine = std::any_of(keys_.begin(), keys_.end(), [&](const Known& known) {
    return known.key->method() == method && (id.empty() || known.key->id() == id) &&
           known.key->Signed(*parts);
  });
  const auto json = genuine ? ParseJson(parts->claims)
                            : absl::StatusOr<json::value>(Invalidated("invalid bearer token"));
  if (!json.ok() || StringAt(*json, {"iss"}) != issuer_) {
    return Invalidated("invalid bearer token");
  }
  auto claims = std::make_shared<Claims>();
  const auto text = [&json](std::string_view a, std::string_view b) {
    return std::string(StringAt(*json, {"kubernetes.io", a, b}));
  };
  claims->ns = StringAt(*json, {"kubernetes.io", "namespace"});
  claims->account = text("serviceaccount", "name");
  claims->account_uid = text("serviceaccount", "uid");
  constexpr std::pair<const char*, const char*> kBound[] = {
      {"pod", "pods"}, {"secret", "secrets"}, {"node", "nodes"}};
  for (const auto& [field, resource] : kBound) {
    if (Find(*json, {"kubernetes.io", field}) == nullptr) continue;
    claims->bound_resource = resource;
    claims->bound_name = text(field, "name");
    claims->bound_uid = text(field, "uid");
    break;
  }
  claims->node_name = text("node", "name");
  claims->node_uid = text("node", "uid");
  claims->id = StringAt(*json, {"jti"});
  claims->audiences = Audiences(Find(*json, {"aud"}));
  claims->expires = IntAt(*json, {"exp"});
  claims->not_before = IntAt(*json, {"nbf"});
  if (claims->ns.empty() || claims->account.empty() || claims->account_uid.empty() ||
      StringAt(*json, {"sub"}) !=
          StrCat("system:serviceaccount:", claims->ns, ":", claims->account)) {
    return Invalidated("invalid bearer token");
  }
  if (verified_.size() >= kMaxVerified) verified_.clear();
  verified_.emplace(std::string(token), claims);
  return claims;
}

absl::Status ServiceAccountTokens::CheckAlive(const Claims& claims, absl::Time now) {
  const auto account = view_.Get("serviceaccounts", claims.ns, claims.account);
  if (!account.has_value() ||
      StringAt(*account->object, {"metadata", "uid"}) != claims.account_uid) {
    return Invalidated("service account token has been invalidated");
  }
  if (claims.bound_resource.empty()) return absl::OkStatus();
  const bool node = claims.bound_resource == "nodes";
  const auto bound = view_.Get(claims.bound_resource, node ? "" : claims.ns, claims.bound_name);
  if (!bound.has_value() || StringAt(*bound->object, {"metadata", "uid"}) != claims.bound_uid) {
    return Invalidated("service account token has been invalidated");
  }
  const std::string_view deleted = StringAt(*bound->object, {"metadata", "deletionTimestamp"});
  if (deleted.empty()) return absl::OkStatus();
  const auto at = ParseTime(deleted);
  if (at.ok() && *at + kDeletedPodLeeway < now) {
    return Invalidated("service account token has been invalidated");
  }
  return absl::OkStatus();
}

absl::StatusOr<User> ServiceAccountTokens::Verify(std::string_view token,
                                                  const std::vector<std::string>& audiences,
                                                  absl::Time now,
                                                  std::vector<std::string>* matched) {
  KEEL_ASSIGN_OR_RETURN(const std::shared_ptr<const Claims> claims, Read(token));
  const int64_t seconds = absl::ToUnixSeconds(now);
  if (seconds >= claims->expires) return Invalidated("service account token has expired");
  if (seconds < claims->not_before) return Invalidated("service account token is not valid yet");
  const std::vector<std::string>& wanted = audiences.empty() ? audiences_ : audiences;
  bool meant = false;
  for (const std::string& one : wanted) {
    if (std::find(claims->audiences.begin(), claims->audiences.end(), one) ==
        claims->audiences.end()) {
      continue;
    }
    meant = true;
    if (matched != nullptr) matched->push_back(one);
  }
  if (!meant) return Invalidated("invalid bearer token");
  KEEL_RETURN_IF_ERROR(CheckAlive(*claims, now));
  User user = ServiceAccountUser(claims->ns, claims->account, claims->account_uid);
  const auto extra = [&user](std::string_view key, const std::string& value) {
    if (!value.empty()) {
      user.extra.emplace_back(StrCat("authentication.kubernetes.io/", key),
                              std::vector<std::string>{value});
    }
  };
  if (!claims->id.empty()) extra("credential-id", StrCat("JTI=", claims->id));
  if (claims->bound_resource == "pods") {
    extra("pod-name", claims->bound_name);
    extra("pod-uid", claims->bound_uid);
  }
  extra("node-name", claims->node_name);
  extra("node-uid", claims->node_uid);
  return user;
}

absl::StatusOr<json::object> ServiceAccountTokens::Request(std::string_view ns,
                                                           std::string_view name,
                                                           const json::object& request,
                                                           absl::Time now) {
  if (signer_ == nullptr) {
    return ApiError{.code = 404,
                    .reason = "NotFound",
                    .message = "the server could not find the requested resource"}
        .ToStatus();
  }
  const auto account = view_.Get("serviceaccounts", ns, name);
  if (!account.has_value()) return NotFound("serviceaccounts", name);
  FieldErrors errors;
  int64_t seconds = kDefaultSeconds;
  if (Find(request, {"spec", "expirationSeconds"}) != nullptr) {
    seconds = IntAt(request, {"spec", "expirationSeconds"});
    if (seconds < kMinSeconds) {
      errors.InvalidValue("spec.expirationSeconds", seconds,
                          "may not specify a duration less than 10 minutes");
    } else if (seconds > int64_t{1} << 32) {
      errors.InvalidValue("spec.expirationSeconds", seconds,
                          "may not specify a duration larger than 2^32 seconds");
    }
  }
  if (!errors.empty()) return Invalid("authentication.k8s.io", "TokenRequest", "", errors);
  if (max_expiration_ > absl::ZeroDuration()) {
    seconds = std::min(seconds, absl::ToInt64Seconds(max_expiration_));
  }
  std::vector<std::string> audiences = Audiences(Find(request, {"spec", "audiences"}));
  if (audiences.empty()) audiences = audiences_;

  json::object bound{{"namespace", json::string(ns)}};
  const json::object& reference = ObjectAt(request, {"spec", "boundObjectRef"});
  if (!reference.empty()) {
    const std::string_view kind = StringAt(reference, {"kind"});
    const std::string_view its = StringAt(reference, {"name"});
    const std::string_view resource = kind == "Pod"      ? "pods"
                                      : kind == "Secret" ? "secrets"
                                      : kind == "Node"   ? "nodes"
                                                         : "";
    if (resource.empty()) {
      return BadRequest(StrCat("cannot bind token to object of type ",
                               StringAt(reference, {"apiVersion"}), ", Kind=", kind));
    }
    const auto object = view_.Get(resource, kind == "Node" ? "" : ns, its);
    if (!object.has_value()) return NotFound(resource, its);
    const std::string_view uid = StringAt(*object->object, {"metadata", "uid"});
    const std::string_view wanted = StringAt(reference, {"uid"});
    if (!wanted.empty() && wanted != uid) {
      return Conflict(resource, its,
                      StrCat("the UID in the bound object reference (", wanted,
                             ") does not match the UID in record. The object might have been "
                             "deleted and then recreated"));
    }
    json::object named{{"name", json::string(its)}, {"uid", json::string(uid)}};
    if (kind == "Pod") {
      if (StringAt(*object->object, {"spec", "serviceAccountName"}) != name) {
        return BadRequest(StrCat("cannot bind token for serviceaccount \"", name,
                                 "\" to pod running with different serviceaccount name."));
      }
      const std::string_view node = StringAt(*object->object, {"spec", "nodeName"});
      if (const auto there = node.empty() ? std::nullopt : view_.Get("nodes", "", node)) {
        bound["node"] =
            json::object{{"name", json::string(node)},
                         {"uid", json::string(StringAt(*there->object, {"metadata", "uid"}))}};
      }
      bound["pod"] = std::move(named);
    } else {
      bound[kind == "Secret" ? "secret" : "node"] = std::move(named);
    }
  }
  bound["serviceaccount"] =
      json::object{{"name", json::string(name)},
                   {"uid", json::string(StringAt(*account->object, {"metadata", "uid"}))}};

  const int64_t start = absl::ToUnixSeconds(now);
  const json::object claims{{"aud", Array(audiences)},
                            {"exp", start + seconds},
                            {"iat", start},
                            {"iss", issuer_},
                            {"jti", NewUuid()},
                            {"kubernetes.io", std::move(bound)},
                            {"nbf", start},
                            {"sub", StrCat("system:serviceaccount:", ns, ":", name)}};
  const json::object header{{"alg", signer_->method()}, {"kid", signer_->id()}};
  KEEL_ASSIGN_OR_RETURN(std::string token, signer_->Sign(ToJson(header), ToJson(claims)));

  json::object answer = request;
  answer["apiVersion"] = "authentication.k8s.io/v1";
  answer["kind"] = "TokenRequest";
  *Ensure(answer, {"metadata", "name"}) = json::string(name);
  *Ensure(answer, {"metadata", "namespace"}) = json::string(ns);
  *Ensure(answer, {"metadata", "creationTimestamp"}) = orchestrator::FormatTime(now);
  *Ensure(answer, {"spec", "audiences"}) = Array(audiences);
  *Ensure(answer, {"spec", "expirationSeconds"}) = seconds;
  if (reference.empty()) *Ensure(answer, {"spec", "boundObjectRef"}) = nullptr;
  answer["status"] =
      json::object{{"token", token},
                   {"expirationTimestamp", orchestrator::FormatTime(now + absl::Seconds(seconds))}};
  return answer;
}

std::vector<std::string> ServiceAccountTokens::Methods() const {
  std::vector<std::string> out;
  for (const Known& known : keys_) {
    if (std::find(out.begin(), out.end(), known.key->method()) == out.end()) {
      out.push_back(known.key->method());
    }
  }
  return out;
}

json::object ServiceAccountTokens::JsonWebKeys() const {
  json::array keys;
  for (const Known& known : keys_) {
    json::object key{{"use", "sig"}, {"kid", known.key->id()}, {"alg", known.key->method()}};
    for (const auto& [name, value] : base::WebKeyMembers(known.pem)) key[name] = value;
    keys.emplace_back(std::move(key));
  }
  return {{"keys", std::move(keys)}};
}

}  // namespace keel::orchestrator
