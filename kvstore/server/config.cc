#include "kvstore/server/config.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::kvstore {

using base::StrCat;

namespace {

absl::Status CheckScheme(const std::vector<Url>& urls, std::string_view flag) {
  for (const Url& url : urls) {
    if (url.unix_socket()) {
      return absl::InvalidArgumentError(
          StrCat("--", flag, ": ", url.ToString(),
                 ": unix sockets are not offered; use http://host:port"));
    }
  }
  return absl::OkStatus();
}

// An https:// URL needs a certificate to show.
absl::Status CheckCertificates(const ServerConfig& config) {
  const auto both = [](const std::string& cert, const std::string& key) {
    if (cert.empty() == key.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        StrCat("KeyFile and CertFile must both be present[key: ", key, ", cert: ", cert, "]"));
  };
  KEEL_RETURN_IF_ERROR(both(config.client_tls.cert_file, config.client_tls.key_file));
  KEEL_RETURN_IF_ERROR(both(config.peer_tls.cert_file, config.peer_tls.key_file));
  KEEL_RETURN_IF_ERROR(both(config.peer_client_cert_file, config.peer_client_key_file));
  for (const auto* urls : {&config.listen_client_urls, &config.listen_metrics_urls}) {
    for (const Url& url : *urls) {
      if (!url.tls() || !config.client_tls.cert_file.empty() || config.auto_tls) continue;
      return absl::InvalidArgumentError(
          StrCat("TLS key/cert (--cert-file, --key-file) must be provided for client url ",
                 url.ToString(), " with HTTPS scheme"));
    }
  }
  for (const Url& url : config.listen_peer_urls) {
    if (!url.tls() || !config.peer_tls.cert_file.empty() || config.peer_auto_tls) continue;
    return absl::InvalidArgumentError(
        StrCat("cannot listen on TLS for ", url.HostPort(),
               ": KeyFile and CertFile are not presented (--peer-cert-file, --peer-key-file)"));
  }
  if (config.self_signed_cert_validity_years == 0) {
    return absl::InvalidArgumentError("--self-signed-cert-validity must be greater than 0");
  }
  return absl::OkStatus();
}

bool IsIpAddress(const std::string& host) {
  if (host.find(':') != std::string::npos) return true;  // IPv6: only brackets let a colon in
  std::vector<std::string> parts = absl::StrSplit(host, '.');
  if (parts.size() != 4) return false;
  for (const std::string& part : parts) {
    uint32_t number = 0;
    if (!absl::SimpleAtoi(part, &number) || number > 255) return false;
  }
  return true;
}

// A name may stand for an address of another machine by the time it is
// resolved; etcd takes nothing but addresses (and localhost) to bind to.
absl::Status CheckBind(const std::vector<Url>& urls, std::string_view flag) {
  for (const Url& url : urls) {
    if (url.host != "localhost" && !url.host.empty() && !IsIpAddress(url.host)) {
      return absl::InvalidArgumentError(
          StrCat("--", flag, ": expected IP in URL for binding (", url.ToString(), ")"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ServerConfig::Validate() const {
  KEEL_RETURN_IF_ERROR(CheckScheme(listen_client_urls, "listen-client-urls"));
  KEEL_RETURN_IF_ERROR(CheckScheme(advertise_client_urls, "advertise-client-urls"));
  KEEL_RETURN_IF_ERROR(CheckScheme(listen_peer_urls, "listen-peer-urls"));
  KEEL_RETURN_IF_ERROR(CheckScheme(initial_advertise_peer_urls, "initial-advertise-peer-urls"));
  KEEL_RETURN_IF_ERROR(CheckScheme(listen_metrics_urls, "listen-metrics-urls"));
  KEEL_RETURN_IF_ERROR(CheckBind(listen_client_urls, "listen-client-urls"));
  KEEL_RETURN_IF_ERROR(CheckBind(listen_peer_urls, "listen-peer-urls"));
  KEEL_RETURN_IF_ERROR(CheckBind(listen_metrics_urls, "listen-metrics-urls"));
  KEEL_RETURN_IF_ERROR(CheckCertificates(*this));
  if (name.empty()) return absl::InvalidArgumentError("--name must not be empty");
  if (data_dir.empty()) return absl::InvalidArgumentError("--data-dir must not be empty");
  if (listen_client_urls.empty())
    return absl::InvalidArgumentError("--listen-client-urls must not be empty");
  if (listen_peer_urls.empty())
    return absl::InvalidArgumentError("--listen-peer-urls must not be empty");
  if (heartbeat_ms == 0)
    return absl::InvalidArgumentError("--heartbeat-interval must be >0 (set to 0ms)");
  if (election_ms == 0)
    return absl::InvalidArgumentError("--election-timeout must be >0 (set to 0ms)");
  if (5 * heartbeat_ms > election_ms) {
    return absl::InvalidArgumentError(
        StrCat("--election-timeout[", election_ms,
               "ms] should be at least as 5 times as --heartbeat-interval[", heartbeat_ms, "ms]"));
  }
  if (election_ms > 50000) {
    return absl::InvalidArgumentError(
        StrCat("--election-timeout[", election_ms,
               "ms] is too long, and should be set less than 50000ms"));
  }
  if (max_txn_ops == 0) return absl::InvalidArgumentError("--max-txn-ops must be >0");
  if (max_request_bytes == 0) return absl::InvalidArgumentError("--max-request-bytes must be >0");
  if (max_request_bytes > (512ull << 20)) {
    return absl::InvalidArgumentError(StrCat("--max-request-bytes[", max_request_bytes,
                                             "] is too large, and should be at most 536870912"));
  }
  if (snapshot_count == 0) return absl::InvalidArgumentError("--snapshot-count must be >0");
  if (io_threads == 0 || io_threads > 64) {
    return absl::InvalidArgumentError("--experimental-io-threads must be between 1 and 64");
  }
  if (auth_token != "simple" && !auth_token.starts_with("jwt,")) {
    return absl::InvalidArgumentError(StrCat("--auth-token: '", auth_token, "' is not known"));
  }
  if (auth_token_ttl <= base::Duration::zero()) {
    return absl::InvalidArgumentError("--auth-token-ttl must be >0");
  }
  if (bcrypt_cost < 4 || bcrypt_cost > 31) {
    return absl::InvalidArgumentError("--bcrypt-cost must be between 4 and 31");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, std::vector<Url>>> ParseInitialCluster(std::string_view text) {
  std::map<std::string, std::vector<Url>> members;
  for (absl::string_view part : absl::StrSplit(base::ToAbsl(text), ',', absl::SkipWhitespace())) {
    const std::string item(absl::StripAsciiWhitespace(part));
    const size_t equals = item.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          StrCat("--initial-cluster: '", item, "' is not of the form name=URL"));
    }
    KEEL_ASSIGN_OR_RETURN(Url url, ParseUrl(item.substr(equals + 1)));
    members[item.substr(0, equals)].push_back(std::move(url));
  }
  if (members.empty()) return absl::InvalidArgumentError("--initial-cluster names no member");
  std::set<std::string> seen;
  for (auto& [member, urls] : members) {
    std::sort(urls.begin(), urls.end(),
              [](const Url& a, const Url& b) { return a.ToString() < b.ToString(); });
    for (const Url& url : urls) {
      if (!seen.insert(url.ToString()).second) {
        return absl::InvalidArgumentError(
            StrCat("--initial-cluster has duplicate entry for URL ", url.ToString()));
      }
    }
  }
  return members;
}

}  // namespace keel::kvstore
