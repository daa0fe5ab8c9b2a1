#include "kvstore/kvd/tls.h"

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "base/tls/self_signed.h"
#include "kvstore/server/metrics.h"

namespace keel::kvstore {

using base::Log;
using base::TlsContext;
using base::TlsOptions;
using base::TlsRole;

namespace {

bool AnyTls(const std::vector<Url>& urls) {
  for (const Url& url : urls) {
    if (url.tls()) return true;
  }
  return false;
}

void WarnOfPlain(const std::vector<Url>& urls, const TlsOptions& tls, std::string_view kind) {
  for (const Url& url : urls) {
    if (url.tls()) continue;
    if (!tls.cert_file.empty()) {
      Log().warn(
          "scheme is http while key and cert files are present; ignoring key and cert files "
          "{}-url={}",
          kind, url.ToString());
    }
    if (tls.require_client_cert) {
      Log().warn(
          "scheme is http while certificates of {}s are asked for; ignoring that for this "
          "URL {}-url={}",
          kind, kind, url.ToString());
    }
  }
}

// The files of --auto-tls, unless others are given.
absl::Status AutoTls(const std::vector<Url>& urls, const ServerConfig& config,
                     std::string_view kind, TlsOptions& tls) {
  if (!tls.cert_file.empty()) {
    Log().warn("ignoring {} auto TLS since certs given", kind);
    return absl::OkStatus();
  }
  std::vector<std::string> hosts;
  for (const Url& url : urls) {
    if (url.tls()) hosts.push_back(url.host);
  }
  if (hosts.empty()) return absl::OkStatus();
  const std::string dir = base::StrCat(config.data_dir, "/fixtures/", kind);
  KEEL_RETURN_IF_ERROR(base::EnsureSelfSigned(dir, hosts, config.self_signed_cert_validity_years));
  tls.cert_file = dir + "/cert.pem";
  tls.key_file = dir + "/key.pem";
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MemberTls> MakeMemberTls(const ServerConfig& config) {
  MemberTls out;
  WarnOfPlain(config.listen_client_urls, config.client_tls, "client");
  WarnOfPlain(config.listen_peer_urls, config.peer_tls, "peer");

  TlsOptions clients = config.client_tls;
  clients.protocols = {"h2", "http/1.1"};
  if (config.auto_tls) {
    KEEL_RETURN_IF_ERROR(AutoTls(config.listen_client_urls, config, "client", clients));
  }
  if (AnyTls(config.listen_client_urls) || AnyTls(config.listen_metrics_urls)) {
    KEEL_ASSIGN_OR_RETURN(out.clients, TlsContext::Create(clients, TlsRole::kServer));
  }

  TlsOptions peers = config.peer_tls;
  const bool made_here = config.peer_auto_tls && peers.cert_file.empty();
  if (config.peer_auto_tls) {
    KEEL_RETURN_IF_ERROR(AutoTls(config.listen_peer_urls, config, "peer", peers));
  }
  if (AnyTls(config.listen_peer_urls)) {
    KEEL_ASSIGN_OR_RETURN(out.peers, TlsContext::Create(peers, TlsRole::kServer));
  }
  // As a client: the same trust and rules, and nobody vouches for what --peer-auto-tls made.
  TlsOptions to_peers = peers;
  to_peers.require_client_cert = false;
  to_peers.insecure_skip_verify = made_here;
  // etcd: rules about names and revocation are those of whoever is called.
  to_peers.allowed_cns.clear();
  to_peers.allowed_hostnames.clear();
  to_peers.crl_file.clear();
  if (!config.peer_client_cert_file.empty()) {
    to_peers.cert_file = config.peer_client_cert_file;
    to_peers.key_file = config.peer_client_key_file;
  }
  if (out.peers != nullptr || !to_peers.cert_file.empty() || !to_peers.trusted_ca_file.empty()) {
    KEEL_ASSIGN_OR_RETURN(out.to_peers, TlsContext::Create(to_peers, TlsRole::kClient));
  }
  return out;
}

void AppendTlsMetrics(const MemberTls& tls, std::string* out) {
  using base::StrCat;
  using base::TlsFigures;
  struct Side {
    std::string label;
    const TlsFigures& figures;
  };
  std::vector<Side> sides;
  if (tls.clients != nullptr) sides.push_back({"side=\"client\"", tls.clients->figures()});
  if (tls.peers != nullptr) sides.push_back({"side=\"peer\"", tls.peers->figures()});
  if (tls.to_peers != nullptr) sides.push_back({"side=\"to_peer\"", tls.to_peers->figures()});
  if (sides.empty()) return;
  AppendFamily("keel_tls_handshakes_total", "TLS handshakes that succeeded.", "counter", out);
  for (const Side& side : sides) {
    AppendSample("keel_tls_handshakes_total", side.label,
                 static_cast<double>(side.figures.handshakes.load()), out);
  }
  AppendFamily("keel_tls_handshake_failures_total", "TLS handshakes that failed, by cause.",
               "counter", out);
  for (const Side& side : sides) {
    for (size_t i = 0; i < base::kTlsFailures; ++i) {
      const auto name = base::TlsFailureName(static_cast<base::TlsFailure>(i));
      AppendSample("keel_tls_handshake_failures_total", StrCat(side.label, ",cause=\"", name, "\""),
                   static_cast<double>(side.figures.failures[i].load()), out);
    }
  }
  constexpr std::string_view kSeconds = "keel_tls_handshake_seconds";
  AppendFamily(kSeconds, "How long TLS handshakes took that succeeded.", "histogram", out);
  for (const Side& side : sides) {
    uint64_t below = 0;
    base::Duration bound = TlsFigures::kFirstBucket;
    for (size_t i = 0; i <= TlsFigures::kBuckets; ++i, bound *= 2) {
      below += side.figures.took[i].load();
      const std::string le =
          i == TlsFigures::kBuckets
              ? "+Inf"
              : absl::StrFormat("%g", std::chrono::duration<double>(bound).count());
      AppendSample(StrCat(kSeconds, "_bucket"), StrCat(side.label, ",le=\"", le, "\""),
                   static_cast<double>(below), out);
    }
    AppendSample(StrCat(kSeconds, "_sum"), side.label,
                 static_cast<double>(side.figures.took_ns.load()) / 1e9, out);
    AppendSample(StrCat(kSeconds, "_count"), side.label, static_cast<double>(below), out);
  }
}

}  // namespace keel::kvstore
