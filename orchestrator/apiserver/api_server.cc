#include "orchestrator/apiserver/api_server.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "base/status.h"
#include "base/strings.h"
#include "base/tls/session.h"
#include "orchestrator/api/computed.h"
#include "orchestrator/apiserver/decode_body.h"
#include "orchestrator/apiserver/subresources.h"

namespace keel::orchestrator {

namespace {

constexpr size_t kMaxWaiting = 10'000;  // requests, while the cache is loaded

CacheOptions CacheOptionsOf(const ApiServerOptions& options, const KindRegistry& kinds) {
  CacheOptions out = options.cache;
  out.prefix = options.prefix;
  out.fields_of = [&kinds](std::string_view resource) -> std::vector<std::string> {
    for (const auto& kind : kinds.All()) {
      if (kind->resource() != resource) continue;
      const auto stored = kinds.Stored(*kind);
      return stored == nullptr ? kind->selectable_fields : stored->selectable_fields;
    }
    return {};
  };
  return out;
}

bool IsDiscovery(std::string_view path) {
  return path == "/api" || path == "/apis" || path.starts_with("/api/") ||
         path.starts_with("/apis/");
}

}  // namespace

ApiServer::ApiServer(base::Loop& loop, Store& store, KindRegistry& kinds, ApiServerOptions options)
    : options_(std::move(options)),
      cache_(loop, store, CacheOptionsOf(options_, kinds)),
      context_{.loop = loop, .store = store, .cache = cache_, .kinds = kinds},
      objects_(context_),
      discovery_(kinds),
      open_api_(kinds),
      addresses_(cache_, options_.service_ranges),
      event_lease_(loop, store, options_.event_ttl_seconds),
      custom_resources_(objects_),
      bootstrap_(objects_, options_.bootstrap),
      usage_(context_, objects_.presenter(), std::make_unique<HollowUsage>()) {
  objects_.SetAddresses(&addresses_);
  objects_.SetEventLease(&event_lease_);
}

void ApiServer::SetGates(Gates* gates) {
  gates_ = gates;
  context_.authenticator = &gates->authenticator();
  context_.authorizer = &gates->authorizer();
  context_.admission = &gates->admission();
  context_.transformer = &gates->transformer();
  cache_.SetTransformer(&gates->transformer(),
                        [this](std::string key) { stale_values_.Note(std::move(key)); });
}

void ApiServer::Start(absl::AnyInvocable<void()> done) {
  event_lease_.Ask();
  cache_.Start([this, done = std::move(done)]() mutable {
    Begin();
    done();
  });
}

void ApiServer::Begin() {
  // Kinds of definitions first: a request may be for one.
  custom_resources_.Start();
  begun_ = true;
  bootstrap_.Run();
  KeepDefaults();
  stale_values_.Rewrite();
  CompactLater(cache_.revision());
  for (RequestPtr& request : std::exchange(waiting_, {})) Serve(std::move(request));
}

void ApiServer::KeepDefaults() {
  if (gates_ == nullptr) return;
  if (const uint64_t version = gates_->DefaultsVersion() + 1; version != defaults_version_) {
    defaults_version_ = version;
    for (WantedObject& wanted : gates_->WantedObjects()) {
      bootstrap_.Ensure(std::move(wanted.object), wanted.mod_revision);
    }
  }
  context_.loop.After(std::chrono::seconds(1), [this, alive = alive_] {
    if (*alive) KeepDefaults();
  });
}

void ApiServer::CompactLater(int64_t revision) {
  if (options_.compaction_interval == base::Duration::zero()) return;
  context_.loop.After(options_.compaction_interval, [this, alive = alive_, revision] {
    if (!*alive) return;
    // What was new an interval ago: watches and lists that began since can go on.
    context_.store.Compact(revision, [](absl::StatusOr<int64_t>) {});
    CompactLater(cache_.revision());
  });
}

void ApiServer::Handle(rpc::HttpRequest http, rpc::HttpRespond respond) {
  auto info = ParseRequestInfo(http.method, http.path, http.query);
  const base::TimePoint begun = context_.loop.Now();
  const RequestInfo told = info.ok() ? *info : RequestInfo();
  metrics_.Begun(told);
  auto request =
      std::make_shared<Request>(std::move(http), std::move(respond), [this, told, begun](int code) {
        metrics_.Answered(told, code, context_.loop.Now() - begun);
      });
  if (!info.ok()) return request->Fail(info.status());
  request->info = *std::move(info);
  auto format = NegotiateOutput(request->http.Header("accept"),
                                !request->info.is_resource && IsDiscovery(request->info.path));
  if (!format.ok() && request->info.is_resource) return request->Fail(format.status());
  if (format.ok()) request->format = *std::move(format);
  if (request->info.query.Flag("pretty")) request->format.pretty = true;
  Serve(std::move(request));
}

absl::Status ApiServer::Admit(Request& request) {
  if (context_.authenticator == nullptr) {
    request.user = {.name = "system:admin", .groups = {"system:masters", "system:authenticated"}};
    return absl::OkStatus();
  }
  std::optional<PeerCertificate> certificate;
  if (request.http.certificate != nullptr) {
    certificate = PeerCertificate{request.http.certificate->common_name,
                                  request.http.certificate->organizations};
  }
  KEEL_ASSIGN_OR_RETURN(request.user,
                        context_.authenticator->Authenticate(
                            certificate, request.http.Header("authorization"), absl::Now()));
  KEEL_ASSIGN_OR_RETURN(request.user,
                        gates_->Impersonate(std::move(request.user), request.http.headers));
  return context_.authorizer->Authorize(request.info.AttributesFor(request.user));
}

void ApiServer::Serve(RequestPtr request) {
  // Before the cache is whole nobody's rights are known.
  if (request->info.is_resource && !begun_) {
    if (waiting_.size() >= kMaxWaiting) {
      return request->Fail(Unavailable("the server is loading what the store holds"));
    }
    return waiting_.push_back(std::move(request));
  }
  if (absl::Status status = Admit(*request); !status.ok()) return request->Fail(status);
  if (!request->info.is_resource) return ServePath(std::move(request));
  ServeResource(std::move(request));
}

void ApiServer::ServeResource(RequestPtr request) {
  RequestInfo& info = request->info;
  if (info.group.empty() && info.resource == "bindings" && info.verb == "create") {
    info.subresource.clear();
    return objects_.Bind(std::move(request),
                         context_.kinds.FindByResource("", info.version, "pods"));
  }
  KindPtr kind = context_.kinds.FindByResource(info.group, info.version, info.resource);
  if (kind == nullptr) return request->Fail(NoSuchPath());
  if (!kind->namespaced) {
    if (!info.ns.empty() && info.resource != "namespaces") return request->Fail(NoSuchPath());
    info.ns.clear();
  } else if (info.ns.empty() && !info.name.empty() && info.verb != "list" && info.verb != "watch") {
    return request->Fail(NoSuchPath());
  }
  if (!info.subresource.empty()) return ServeSubresource(std::move(request), std::move(kind));
  const std::vector<std::string> verbs = VerbsOf(*kind);
  if (std::find(verbs.begin(), verbs.end(), info.verb) == verbs.end()) {
    return request->Fail(MethodNotSupported(kind->resource(), info.verb));
  }
  if (kind->create_only) return ServeCreateOnly(std::move(request), std::move(kind));
  if (IsComputed(*kind)) return usage_.Serve(std::move(request), std::move(kind));
  if (info.verb == "get") return objects_.Get(std::move(request), std::move(kind));
  if (info.verb == "list") return objects_.List(std::move(request), std::move(kind));
  if (info.verb == "watch") return objects_.Watch(std::move(request), std::move(kind));
  if (info.verb == "create") return objects_.Create(std::move(request), std::move(kind));
  if (info.verb == "update" && !info.name.empty()) {
    return objects_.Update(std::move(request), std::move(kind));
  }
  if (info.verb == "patch" && !info.name.empty()) {
    return objects_.Patch(std::move(request), std::move(kind));
  }
  if (info.verb == "delete") return objects_.Delete(std::move(request), std::move(kind));
  if (info.verb == "deletecollection") {
    return objects_.DeleteCollection(std::move(request), std::move(kind));
  }
  request->Fail(MethodNotSupported(kind->resource(), info.verb));
}

void ApiServer::ServeSubresource(RequestPtr request, KindPtr kind) {
  const RequestInfo& info = request->info;
  const std::vector<Subresource> known = SubresourcesOf(*kind);
  const auto found = std::find_if(known.begin(), known.end(), [&info](const Subresource& sub) {
    return sub.name == info.subresource;
  });
  if (found == known.end()) return request->Fail(NoSuchPath());
  if (std::find(found->verbs.begin(), found->verbs.end(), info.verb) == found->verbs.end()) {
    return request->Fail(
        MethodNotSupported(base::StrCat(kind->resource(), "/", info.subresource), info.verb));
  }
  if (info.subresource == "status") {
    if (info.verb == "get") return objects_.Get(std::move(request), std::move(kind));
    if (info.verb == "update") return objects_.Update(std::move(request), std::move(kind));
    return objects_.Patch(std::move(request), std::move(kind));
  }
  if (info.subresource == "scale") {
    if (info.verb == "get") return objects_.GetScale(std::move(request), std::move(kind));
    return objects_.WriteScale(std::move(request), std::move(kind));
  }
  if (info.subresource == "binding") return objects_.Bind(std::move(request), std::move(kind));
  if (info.subresource == "eviction") return objects_.Evict(std::move(request), std::move(kind));
  if (info.subresource == "finalize") {
    return objects_.FinalizeNamespace(std::move(request), std::move(kind));
  }
  if (info.subresource == "token" && gates_ != nullptr) {
    return ServeCreateOnly(std::move(request), std::move(kind));
  }
  request->Fail(
      ApiError{.code = 501,
               .reason = "NotImplemented",
               .message = base::StrCat("the subresource ", info.subresource, " is not served yet")}
          .ToStatus());
}

void ApiServer::ServeCreateOnly(RequestPtr request, KindPtr kind) {
  if (gates_ == nullptr) {
    return request->Fail(ApiError{.code = 501,
                                  .reason = "NotImplemented",
                                  .message = "this server checks nobody's rights "
                                             "(--authorization-mode=AlwaysAllow)"}
                             .ToStatus());
  }
  auto body = DecodeBody(request->http.Header("content-type"), request->http.body,
                         "the body of the request");
  if (!body.ok()) return request->Fail(body.status());
  if (!body->is_object()) {
    return request->Fail(BadRequest("the body of the request is no object"));
  }
  const Attributes attributes = request->info.AttributesFor(request->user);
  if (request->info.subresource == "token") {
    AdmissionRequest admission{
        .attributes = attributes, .kind = kind, .object = &body->as_object()};
    if (absl::Status status = gates_->admission().Validate(admission); !status.ok()) {
      return request->Fail(status);
    }
  }
  auto answer = request->info.subresource == "token"
                    ? gates_->RequestToken(attributes, body->as_object(), absl::Now())
                    : gates_->Review(attributes, body->as_object(), absl::Now());
  if (!answer.ok()) return request->Fail(answer.status());
  request->SendJson(201, *answer);
}

void ApiServer::ServePath(RequestPtr request) {
  const std::string& path = request->info.path;
  if (request->http.method != "GET" && request->http.method != "HEAD") {
    return request->Fail(NoSuchPath());
  }
  if (path == "/version" || path == "/version/") {
    return request->SendJson(200, json::object{{"major", "1"},
                                               {"minor", "35"},
                                               {"gitVersion", "v1.35.0+keel"},
                                               {"gitCommit", ""},
                                               {"gitTreeState", "clean"},
                                               {"buildDate", "2026-11-23T00:00:00Z"},
                                               {"goVersion", "C++20"},
                                               {"compiler", "g++"},
                                               {"platform", "linux/amd64"}});
  }
  if (gates_ != nullptr && path == "/openid/v1/jwks") {
    return request->SendJson(200, gates_->JsonWebKeys());
  }
  if (gates_ != nullptr && path == "/.well-known/openid-configuration") {
    return request->SendJson(200, gates_->OpenIdConfiguration());
  }
  if (path == "/metrics") {
    return request->Send(200, "text/plain; version=0.0.4; charset=utf-8", metrics_.Text(cache_));
  }
  for (const char* health : {"/healthz", "/livez", "/readyz"}) {
    if (path.starts_with(health)) return ServeHealth(*request);
  }
  if (auto extra = options_.extra_paths.find(path); extra != options_.extra_paths.end()) {
    return extra->second(request->Take(200));
  }
  if (path.starts_with("/openapi/") && ServeOpenApi(*request)) return;
  if (auto answer = discovery_.Answer(path, request->format)) {
    if (request->format.as == OutputAs::kDiscovery) {
      return request->Send(200,
                           base::StrCat("application/json;g=apidiscovery.k8s.io;v=",
                                        request->format.as_version, ";as=APIGroupDiscoveryList"),
                           ToJson(*answer));
    }
    return request->SendJson(200, *answer);
  }
  if (path == "/") {
    json::array paths;
    for (const char* known : {"/api", "/api/v1", "/apis", "/healthz", "/livez", "/metrics",
                              "/openapi/v2", "/openapi/v3", "/readyz", "/version"}) {
      paths.push_back(known);
    }
    return request->SendJson(200, json::object{{"paths", std::move(paths)}});
  }
  request->Fail(NoSuchPath());
}

bool ApiServer::ServeOpenApi(Request& request) {
  const std::string& path = request.info.path;
  constexpr std::string_view kV3 = "/openapi/v3/";
  OpenApi::Document document;
  std::string type(kJsonType);
  if (path == "/openapi/v2") {
    // Old clients ask for its protobuf, and read JSON if they get that.
    const std::string_view accept = request.http.Header("accept");
    if (accept.find("proto-openapi") != std::string_view::npos) {
      type = std::string(OpenApi::kV2ProtoMediaType);
      document = open_api_.V2Proto();
    } else {
      document = open_api_.V2Json();
    }
  } else if (path == "/openapi/v3") {
    document = open_api_.V3Index();
  } else if (path.starts_with(kV3)) {
    document = open_api_.V3(path.substr(kV3.size()));
  }
  if (document == nullptr) return false;
  request.Send(200, type, *document);
  return true;
}

void ApiServer::ServeHealth(Request& request) {
  // /readyz, /readyz/etcd, /readyz?verbose
  const std::string& path = request.info.path;
  const size_t slash = path.find('/', 1);
  const std::string endpoint = path.substr(1, slash == std::string::npos ? slash : slash - 1);
  const std::string only = slash == std::string::npos ? "" : path.substr(slash + 1);
  std::vector<std::pair<std::string, bool>> checks = {{"ping", true}};
  if (endpoint != "livez") {
    checks.emplace_back("etcd", cache_.ready());
    checks.emplace_back("informer-sync", begun_);
  }
  std::string text;
  bool all = true, found = only.empty();
  for (const auto& [name, ok] : checks) {
    if (!only.empty() && name != only) continue;
    found = true;
    all = all && ok;
    text += base::StrCat(ok ? "[+]" : "[-]", name, ok ? " ok\n" : " failed: reason withheld\n");
  }
  if (!found) return request.Fail(NoSuchPath());
  text += base::StrCat(endpoint, all ? " check passed\n" : " check failed\n");
  const bool verbose = request.info.query.Has("verbose") || !all;
  request.Send(all ? 200 : 500, "text/plain; charset=utf-8", verbose ? text : "ok");
}

}  // namespace keel::orchestrator
