// The API server: Kubernetes' REST API over a store, as a library.
//
//   ApiServer server(loop, *store, *kinds, options);
//   server.Start([] { ... ready ... });
//   rpc_server.SetHttpHandler([&](rpc::HttpRequest request, rpc::HttpRespond respond) {
//     server.Handle(std::move(request), std::move(respond));
//   });
//
// Thread-safety: on its loop only; the rpc::Server's connections must be of that loop. The store,
// the kinds and the gates outlive it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "orchestrator/api/openapi.h"
#include "orchestrator/apiserver/access/gates.h"
#include "orchestrator/apiserver/bootstrap.h"
#include "orchestrator/apiserver/context.h"
#include "orchestrator/apiserver/custom_resources.h"
#include "orchestrator/apiserver/discovery.h"
#include "orchestrator/apiserver/object_api.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/apiserver/server_metrics.h"
#include "orchestrator/apiserver/stale_values.h"
#include "orchestrator/apiserver/usage_api.h"
#include "rpc/http.h"

namespace keel::orchestrator {

struct ApiServerOptions {
  std::string prefix = "/registry";
  CacheOptions cache{};
  ServiceRanges service_ranges{};
  BootstrapOptions bootstrap{};
  // Answers of GET by path, for those who may (the dashboard's view of the store).
  std::map<std::string, std::function<void(rpc::HttpRespond)>> extra_paths{};
  int64_t event_ttl_seconds = 3600;
  // History older than this is compacted away; zero: never.
  base::Duration compaction_interval = std::chrono::minutes(5);
};

class ApiServer {
 public:
  ApiServer(base::Loop& loop, Store& store, KindRegistry& kinds, ApiServerOptions options);
  ~ApiServer() { *alive_ = false; }

  // Whether requests are checked at all; without gates all are allowed. Before Start.
  void SetGates(Gates* gates);
  // Loads the cache; `done` once it is whole. Requests before that wait for it.
  void Start(absl::AnyInvocable<void()> done);
  void Handle(rpc::HttpRequest http, rpc::HttpRespond respond);

  ServerContext& context() { return context_; }
  Cache& cache() { return cache_; }
  ObjectApi& objects() { return objects_; }

 private:
  absl::Status Admit(Request& request);
  void Serve(RequestPtr request);
  void ServeResource(RequestPtr request);
  void ServeSubresource(RequestPtr request, KindPtr kind);
  void ServePath(RequestPtr request);
  void ServeHealth(Request& request);
  bool ServeOpenApi(Request& request);
  void ServeCreateOnly(RequestPtr request, KindPtr kind);
  void Begin();
  void KeepDefaults();
  void CompactLater(int64_t revision);

  const ApiServerOptions options_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Cache cache_;
  ServerContext context_;
  ObjectApi objects_;
  Discovery discovery_;
  OpenApi open_api_;
  ServerMetrics metrics_;
  ServiceAddresses addresses_;
  EventLease event_lease_;
  CustomResources custom_resources_;
  Bootstrap bootstrap_;
  StaleValues stale_values_{context_};
  UsageApi usage_;
  Gates* gates_ = nullptr;
  uint64_t defaults_version_ = 0;
  std::vector<RequestPtr> waiting_;  // for the cache to be whole
  bool begun_ = false;
};

}  // namespace keel::orchestrator
