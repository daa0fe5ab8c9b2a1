// keel-apiserver: Kubernetes' REST API over an etcd v3 store.
//
// Exit codes: 0 after SIGTERM or SIGINT, 1 when it cannot start (the reason is the last line of the
// log), 2 for flags that make no sense.
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/asio_loop.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "base/tls/context.h"
#include "base/tls/self_signed.h"
#include "orchestrator/api/error.h"
#include "orchestrator/apiserver/access/gates.h"
#include "orchestrator/apiserver/api_server.h"
#include "orchestrator/apiserver/dashboard/dashboard.h"
#include "orchestrator/apiserver/etcd_store.h"
#include "orchestrator/apiserver/flags.h"
#include "orchestrator/kinds/all_kinds.h"
#include "rpc/server.h"

namespace keel::orchestrator {

namespace {

constexpr size_t kMaxBodyBytes = 3 * 1024 * 1024;

absl::StatusOr<std::shared_ptr<base::TlsContext>> MakeTls(ApiServerFlags flags) {
  if (flags.tls_cert_file.empty()) {
    KEEL_RETURN_IF_ERROR(base::EnsureSelfSigned(
        flags.cert_dir,
        {"localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
        1));
    flags.tls_cert_file = flags.cert_dir + "/cert.pem";
    flags.tls_private_key_file = flags.cert_dir + "/key.pem";
  }
  base::TlsOptions options;
  options.cert_file = flags.tls_cert_file;
  options.key_file = flags.tls_private_key_file;
  options.trusted_ca_file = flags.client_ca_file;
  options.request_client_cert = !flags.client_ca_file.empty();
  options.protocols = {"h2", "http/1.1"};
  return base::TlsContext::Create(std::move(options), base::TlsRole::kServer);
}

AccessOptions AccessOptionsOf(const ApiServerFlags& flags) {
  AccessOptions options;
  options.anonymous_auth = flags.anonymous_auth;
  options.token_auth_file = flags.token_auth_file;
  options.service_account_key_files = flags.service_account_key_files;
  options.service_account_signing_key_file = flags.service_account_signing_key_file;
  options.service_account_issuer = flags.service_account_issuer;
  options.api_audiences = flags.api_audiences;
  options.authorization_modes = flags.authorization_mode;
  options.disable_admission_plugins = flags.disable_admission_plugins;
  options.encryption_provider_config = flags.encryption_provider_config;
  return options;
}

std::string AdvertiseAddress(const ApiServerFlags& flags) {
  if (!flags.advertise_address.empty()) return flags.advertise_address;
  const bool any =
      flags.bind_address.empty() || flags.bind_address == "0.0.0.0" || flags.bind_address == "::";
  return any ? "127.0.0.1" : flags.bind_address;
}

absl::Status Run(const ApiServerFlags& flags) {
  base::AsioLoop loop("apiserver");
  KEEL_ASSIGN_OR_RETURN(auto kinds, MakeKindRegistry());
  KEEL_ASSIGN_OR_RETURN(auto store, MakeEtcdStore(loop, {.servers = flags.etcd_servers,
                                                         .ca_file = flags.etcd_cafile,
                                                         .cert_file = flags.etcd_certfile,
                                                         .key_file = flags.etcd_keyfile}));
  KEEL_ASSIGN_OR_RETURN(
      const ServiceRanges ranges,
      ServiceRanges::Parse(flags.service_cluster_ip_range, flags.service_node_port_range));
  Dashboard dashboard(store->client());
  ApiServer server(
      loop, *store, *kinds,
      {.prefix = flags.etcd_prefix,
       .service_ranges = ranges,
       .bootstrap = {.advertise_address = AdvertiseAddress(flags), .port = flags.secure_port},
       .extra_paths = {{std::string(Dashboard::kStorePath),
                        [&dashboard](rpc::HttpRespond respond) {
                          dashboard.AnswerStore(std::move(respond));
                        }}},
       .event_ttl_seconds = flags.event_ttl_seconds,
       .compaction_interval = std::chrono::seconds(flags.compaction_interval_seconds)});
  // Without any option of theirs there are no gates at all: a server to try things with.
  const bool open = flags.authorization_mode == std::vector<std::string>{"AlwaysAllow"} &&
                    flags.encryption_provider_config.empty() && flags.token_auth_file.empty() &&
                    flags.service_account_signing_key_file.empty();
  std::unique_ptr<Gates> gates;
  if (!open) {
    KEEL_ASSIGN_OR_RETURN(gates, Gates::Create(AccessOptionsOf(flags), server.cache()));
    server.SetGates(gates.get());
  }
  rpc::ServerOptions rpc_options;
  rpc_options.max_http_body_bytes = kMaxBodyBytes;
  const absl::Status too_large =
      TooLarge(base::StrCat("Request entity too large: limit is ", kMaxBodyBytes));
  rpc_options.http_too_large = ToJson(ApiErrorOf(too_large).ToJson());
  rpc_options.http_too_large_type = "application/json";
  rpc::Server listener({&loop}, rpc_options);
  listener.SetHttpHandler([&server](rpc::HttpRequest request, rpc::HttpRespond respond) {
    if (auto page = Dashboard::Page(request.path)) return std::move(respond)(*std::move(page));
    server.Handle(std::move(request), std::move(respond));
  });

  boost::asio::signal_set signals(loop.context(), SIGTERM, SIGINT);
  signals.async_wait([&loop, &listener](const boost::system::error_code& error, int) {
    if (error) return;
    base::Log().info("stops");
    listener.Stop();
    loop.Stop();
  });
  if (flags.secure_port != 0) {
    KEEL_ASSIGN_OR_RETURN(auto tls, MakeTls(flags));
    KEEL_RETURN_IF_ERROR(
        listener.Listen(flags.bind_address, flags.secure_port, std::move(tls)).status());
  }
  if (flags.insecure_port != 0) {
    KEEL_RETURN_IF_ERROR(listener.Listen("127.0.0.1", flags.insecure_port).status());
  }
  loop.Post([&server] {
    server.Start([&server] { base::Log().info("ready revision={}", server.cache().revision()); });
  });
  base::Log().info("serves secure-port={} insecure-port={} store={}", flags.secure_port,
                   flags.insecure_port, flags.etcd_servers.front());
  loop.Run();
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  auto flags = ParseApiServerFlags(std::vector<std::string>(argv + 1, argv + argc));
  if (!flags.ok()) {
    std::fprintf(stderr, "keel-apiserver: %s\n",
                 std::string(base::ToStd(flags.status().message())).c_str());
    return 2;
  }
  if (flags->help) {
    std::fputs(ApiServerHelp().c_str(), stdout);
    return 0;
  }
  if (flags->version) {
    std::printf("Kubernetes v1.35.0+keel\n");
    return 0;
  }
  if (absl::Status status = base::SetLogLevel(flags->log_level); !status.ok()) {
    std::fprintf(stderr, "keel-apiserver: %s\n",
                 std::string(base::ToStd(status.message())).c_str());
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  if (absl::Status status = Run(*flags); !status.ok()) {
    base::Log().critical("keel-apiserver stops: {}", base::ToStd(status.message()));
    return 1;
  }
  return 0;
}

}  // namespace

}  // namespace keel::orchestrator

int main(int argc, char** argv) { return keel::orchestrator::Main(argc, argv); }
