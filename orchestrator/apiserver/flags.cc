#include "orchestrator/apiserver/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

namespace keel::orchestrator {

namespace {

constexpr char kExamples[] = R"(Examples:
  keel-apiserver --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --cert-dir=/tmp/certs
  keel-apiserver --etcd-servers=https://a:2379,https://b:2379 --etcd-cafile=ca.crt \
      --etcd-certfile=etcd.crt --etcd-keyfile=etcd.key --client-ca-file=ca.crt \
      --tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key
  keel-apiserver --insecure-port=8080 --secure-port=0     plain HTTP, for tests; then:
  kubectl --server=http://127.0.0.1:8080 get namespaces)";

std::unique_ptr<CLI::App> MakeApp(ApiServerFlags& flags) {
  auto app = std::make_unique<CLI::App>(
      "The API server of Keel: Kubernetes' REST API over an etcd v3 store.", "keel-apiserver");
  app->footer(kExamples);
  app->set_help_flag();
  app->add_flag("-h,--help", flags.help, "Print this and exit");
  app->add_flag("--version", flags.version, "Print the version and exit");

  app->add_option("--etcd-servers", flags.etcd_servers, "Members of the store, scheme://host:port")
      ->delimiter(',')
      ->capture_default_str();
  app->add_option("--etcd-cafile", flags.etcd_cafile, "CA that signed the store's certificates");
  app->add_option("--etcd-certfile", flags.etcd_certfile, "Certificate to show to the store");
  app->add_option("--etcd-keyfile", flags.etcd_keyfile, "Its key");
  app->add_option("--etcd-prefix", flags.etcd_prefix, "Of all keys in the store")
      ->capture_default_str();

  app->add_option("--bind-address", flags.bind_address, "Address to listen on")
      ->capture_default_str();
  app->add_option("--secure-port", flags.secure_port, "Port for HTTPS; 0: none")
      ->capture_default_str();
  app->add_option("--insecure-port", flags.insecure_port,
                  "Port for plain HTTP on 127.0.0.1, without any check of who asks; 0: none")
      ->capture_default_str();
  app->add_option("--tls-cert-file", flags.tls_cert_file,
                  "Certificate of the server; without it one is made in --cert-dir");
  app->add_option("--tls-private-key-file", flags.tls_private_key_file, "Its key");
  app->add_option("--cert-dir", flags.cert_dir, "Where a certificate is made if none is given")
      ->capture_default_str();
  app->add_option("--client-ca-file", flags.client_ca_file,
                  "CA of clients' certificates: CN is the user, O are the groups");
  app->add_option("--authorization-mode", flags.authorization_mode,
                  "AlwaysAllow, AlwaysDeny, Node, RBAC: the first that allows decides")
      ->delimiter(',')
      ->capture_default_str();
  app->add_flag("--anonymous-auth,!--no-anonymous-auth", flags.anonymous_auth,
                "Whether requests without credentials are system:anonymous's, not refused");
  app->add_option("--token-auth-file", flags.token_auth_file,
                  "CSV of static tokens: token,user,uid,\"group1,group2\"");
  app->add_option("--service-account-key-file", flags.service_account_key_files,
                  "PEM keys; tokens of service accounts signed by one of them count");
  app->add_option("--service-account-signing-key-file", flags.service_account_signing_key_file,
                  "PEM key that signs new tokens");
  app->add_option("--service-account-issuer", flags.service_account_issuer,
                  "Issuer of those tokens")
      ->capture_default_str();
  app->add_option("--api-audiences", flags.api_audiences,
                  "Audiences that tokens must be for; default: the issuer")
      ->delimiter(',');
  app->add_option("--disable-admission-plugins", flags.disable_admission_plugins,
                  "Admission plugins to leave out")
      ->delimiter(',');
  app->add_option("--encryption-provider-config", flags.encryption_provider_config,
                  "EncryptionConfiguration: how secrets lie in the store");
  app->add_option("--advertise-address", flags.advertise_address,
                  "Address at which the cluster finds this server; default: the bind address");
  app->add_option("--service-cluster-ip-range", flags.service_cluster_ip_range,
                  "Addresses of services")
      ->capture_default_str();
  app->add_option("--service-node-port-range", flags.service_node_port_range,
                  "Node ports of services")
      ->capture_default_str();
  app->add_option("--event-ttl", flags.event_ttl_seconds, "Seconds for which events are kept")
      ->capture_default_str();
  app->add_option("--etcd-compaction-interval", flags.compaction_interval_seconds,
                  "Seconds of history that the store keeps; 0: all")
      ->capture_default_str();
  app->add_option("--log-level", flags.log_level, "debug, info, warn or error")
      ->capture_default_str();
  return app;
}

}  // namespace

absl::StatusOr<ApiServerFlags> ParseApiServerFlags(std::vector<std::string> arguments) {
  ApiServerFlags flags;
  auto app = MakeApp(flags);
  std::reverse(arguments.begin(), arguments.end());
  try {
    app->parse(arguments);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  while (flags.etcd_prefix.ends_with('/')) flags.etcd_prefix.pop_back();
  if (!flags.etcd_prefix.starts_with('/')) flags.etcd_prefix.insert(0, "/");
  if (flags.tls_cert_file.empty() != flags.tls_private_key_file.empty()) {
    return absl::InvalidArgumentError("--tls-cert-file and --tls-private-key-file belong together");
  }
  if (flags.secure_port == 0 && flags.insecure_port == 0) {
    return absl::InvalidArgumentError("--secure-port and --insecure-port are both 0");
  }
  return flags;
}

std::string ApiServerHelp() {
  ApiServerFlags flags;
  return MakeApp(flags)->help();
}

}  // namespace keel::orchestrator
