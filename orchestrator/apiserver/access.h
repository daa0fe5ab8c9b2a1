// Who asks, whether they may, and what a cluster's rules make of the object: the three gates that
// every request to the API server passes, as interfaces (Kubernetes' authentication, authorization
// and admission).
//
// All run on the API server's loop over its cache (object_view.h) and never block; what takes a
// round to the store (TokenRequest's secret, quota) is done by the request's own transaction.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/api/json.h"
#include "orchestrator/api/kind.h"

namespace keel::orchestrator {

struct User {
  std::string name;  // "system:anonymous" for nobody
  std::string uid{};
  std::vector<std::string> groups{};  // "system:masters", "system:authenticated", ...
  std::vector<std::pair<std::string, std::vector<std::string>>> extra{};
};

// The client certificate's subject, verified by the TLS layer against --client-ca-file.
struct PeerCertificate {
  std::string common_name;
  std::vector<std::string> organizations;
};

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // `authorization`: the header's value, empty when there is none. Unauthorized for credentials
  // that are bad; system:anonymous when none were shown (and anonymous requests are allowed).
  virtual absl::StatusOr<User> Authenticate(const std::optional<PeerCertificate>& certificate,
                                            std::string_view authorization, absl::Time now) = 0;
};

struct Attributes {
  User user;
  std::string verb;  // get, list, watch, create, update, patch, delete, deletecollection; or the
                     // HTTP method in lower case for paths that are no resource
  bool is_resource = true;
  std::string group{}, version{}, resource{}, subresource{}, ns{}, name{};
  std::string path{};  // when it is no resource
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  // OK, or Forbidden with Kubernetes' words: `pods "x" is forbidden: User "jane" cannot get
  // resource "pods" in API group "" in the namespace "default"`.
  virtual absl::Status Authorize(const Attributes& attributes) = 0;
};

// A condition and a write that a request's transaction carries besides its own object: how quota is
// counted without a race.
struct SideWrite {
  std::string key;
  int64_t mod_revision = 0;  // the transaction fails (and is tried again) when this has changed
  std::string value;         // as stored, before encryption
};

struct AdmissionRequest {
  Attributes attributes;
  std::shared_ptr<const Kind> kind;  // of the object, or of the subresource's object
  bool dry_run = false;
  json::object* object = nullptr;        // new state; null for delete and connect
  const json::object* before = nullptr;  // old state; null for create
  std::vector<SideWrite> side_writes{};  // added by the plugins
  std::vector<std::string> warnings{};
};

// A payload of a refusal that may pass within a second, since what it misses is about to come (the
// service account of a new namespace): the server tries again before it answers.
inline constexpr char kMayPassSoon[] = "keel.may-pass-soon";

class Admission {
 public:
  virtual ~Admission() = default;
  // Changes the object by the cluster's rules (service account, limits, priority), before the
  // schema's checks.
  virtual absl::Status Mutate(AdmissionRequest& request) = 0;
  // Refuses what the rules forbid (quota, limit ranges, a namespace that is being deleted).
  virtual absl::Status Validate(AdmissionRequest& request) = 0;
};

// The API server's cache of all objects, read by the gates above: always whole, on its loop only.
class ObjectView {
 public:
  virtual ~ObjectView() = default;
  struct Entry {
    std::shared_ptr<const json::object> object;  // with metadata.resourceVersion
    int64_t mod_revision = 0;
    std::string key;  // in the store
  };
  // `resource` is "pods" or "roles.rbac.authorization.k8s.io" (Kind::resource()). nullopt when
  // there is none of that name.
  virtual std::optional<Entry> Get(std::string_view resource, std::string_view ns,
                                   std::string_view name) = 0;
  // All in a namespace; in all of them when `ns` is empty.
  virtual std::vector<Entry> List(std::string_view resource, std::string_view ns) = 0;
  // Grows with each change of that resource: for caches derived from it.
  virtual uint64_t Version(std::string_view resource) = 0;
};

// How values lie in the store: secrets encrypted, all else as it is.
class ValueTransformer {
 public:
  virtual ~ValueTransformer() = default;
  // `resource` as in ObjectView. The key is bound into the encryption.
  virtual absl::StatusOr<std::string> ToStore(std::string_view resource, std::string_view key,
                                              std::string plain) = 0;
  // `stale`: was written under an older key (or none) than is used now.
  virtual absl::StatusOr<std::string> FromStore(std::string_view resource, std::string_view key,
                                                std::string stored, bool* stale) = 0;
};

}  // namespace keel::orchestrator
