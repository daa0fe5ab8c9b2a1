// A client of the API server: what controllers, scheduler and node agents speak through.
//
//   KEEL_ASSIGN_OR_RETURN(ClientConfig config, ClientConfig::FromKubeconfig(path));
//   auto client = ApiClient::Create(loop, config);
//   client->Create({"", "v1", "pods"}, "default", pod, [](absl::StatusOr<json::value> made) {...});
//   client->Patch({"apps", "v1", "deployments"}, "default", "web", kMergePatch, patch, done);
//
// HTTP/1.1 over kept-alive connections (TLS with a client certificate, or plain), at most
// `max_connections` requests at once, others queue; watches have connections of their own. Errors
// are Kubernetes' (orchestrator/api/error.h): IsReason(status, "NotFound"). Unavailable when no
// server of the list can be reached. Reads are repeated at the next server when a connection fails;
// writes only if nothing was sent.
//
// Thread-safety: on its loop only; callbacks run there, never inside the call. Destroyed: callbacks
// that wait are dropped uncalled.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/json.h"

namespace keel::base {
class AsioLoop;
}

namespace keel::orchestrator {

struct Resource {
  std::string group;  // "" for the core group
  std::string version;
  std::string plural;

  // "/api/v1/namespaces/NS/pods/NAME/status"; `ns`, `name` and `subresource` may be empty.
  std::string Path(std::string_view ns = {}, std::string_view name = {},
                   std::string_view subresource = {}) const;

  std::string api_version() const { return group.empty() ? version : group + "/" + version; }
  friend auto operator<=>(const Resource&, const Resource&) = default;
};

struct ClientConfig {
  std::vector<std::string> servers;  // "https://127.0.0.1:6443"
  std::string ca_file{}, cert_file{}, key_file{};
  std::string token{};       // a bearer token, if not empty
  std::string token_file{};  // read again when it changes
  bool insecure_skip_tls_verify = false;
  std::string tls_server_name{};  // to be found in the servers' certificates instead of the host
  std::string user_agent = "keel";
  size_t max_connections = 16;
  base::Duration timeout = std::chrono::seconds(30);  // of a request that is no watch

  // The current context of a kubeconfig file (files or base64 data in it). Several servers may
  // stand in the cluster's `server`, separated by commas. NotFound, or InvalidArgument naming what
  // is wrong.
  static absl::StatusOr<ClientConfig> FromKubeconfig(const std::string& path);
  // As Kubernetes' daemons take them: --master (one server or several with commas between) wins
  // over the server of --kubeconfig; at least one must be given.
  static absl::StatusOr<ClientConfig> FromFlags(const std::string& kubeconfig,
                                                const std::string& master);
};

// Percent-encodes what may not stand in a query's value.
std::string QueryEscape(std::string_view text);

inline constexpr std::string_view kJsonPatch = "application/json-patch+json";
inline constexpr std::string_view kMergePatch = "application/merge-patch+json";
inline constexpr std::string_view kStrategicPatch = "application/strategic-merge-patch+json";

struct WatchEvent {
  std::string_view type;    // ADDED, MODIFIED, DELETED, BOOKMARK
  std::string_view object;  // JSON, valid during the callback
};

class ApiClient {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<json::value>)>;
  using DoneBytes = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;

  // Over HTTP. InvalidArgument for a config that is none, NotFound for files that are missing;
  // connects with the first request.
  static absl::StatusOr<std::unique_ptr<ApiClient>> Create(base::AsioLoop& loop,
                                                           ClientConfig config);
  virtual ~ApiClient() = default;

  // Any request; the answer's body, parsed.
  virtual void Call(std::string_view method, std::string path, std::string_view content_type,
                    std::string body, Done done) = 0;
  // The same, unparsed.
  virtual void CallBytes(std::string_view method, std::string path, std::string_view content_type,
                         std::string body, DoneBytes done) = 0;

  // An open watch; destroyed: cancelled, and no callback follows.
  class WatchHandle {
   public:
    virtual ~WatchHandle() = default;
  };
  // `path` with its query. `on_event` per event; `on_end` once: OK when the server ended it in
  // order, Expired when its history is gone.
  virtual std::unique_ptr<WatchHandle> Watch(std::string path,
                                             absl::AnyInvocable<void(const WatchEvent&)> on_event,
                                             absl::AnyInvocable<void(absl::Status)> on_end) = 0;

  virtual base::Loop& loop() = 0;

  // ---- Short forms of Call
  void Get(const Resource& r, std::string_view ns, std::string_view name, Done done);
  // `query` without its "?": "labelSelector=a%3Db&limit=500".
  void List(const Resource& r, std::string_view ns, std::string_view query, Done done);
  void Create(const Resource& r, std::string_view ns, const json::value& object, Done done);
  void Update(const Resource& r, std::string_view ns, std::string_view name,
              const json::value& object, Done done);
  void UpdateStatus(const Resource& r, std::string_view ns, std::string_view name,
                    const json::value& object, Done done);
  void Patch(const Resource& r, std::string_view ns, std::string_view name,
             std::string_view patch_type, const json::value& patch, Done done,
             std::string_view subresource = {});
  // `options`: DeleteOptions, or null.
  void Delete(const Resource& r, std::string_view ns, std::string_view name,
              const json::value& options, Done done);
};

}  // namespace keel::orchestrator
