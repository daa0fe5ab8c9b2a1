// URLs as etcd's flags take them: scheme://host:port and nothing more.
//
//   KEEL_ASSIGN_OR_RETURN(std::vector<Url> urls,
//   ParseUrls("http://10.0.0.1:2380,http://[::1]:2380"));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace keel::kvstore {

struct Url {
  std::string scheme;  // "http", "https", "unix" or "unixs"
  std::string host;    // as written, IPv6 without brackets; for unix sockets the whole address
  uint16_t port = 0;

  bool tls() const { return scheme == "https" || scheme == "unixs"; }
  bool unix_socket() const { return scheme == "unix" || scheme == "unixs"; }
  // "host:port", IPv6 in brackets: what is dialled or listened on.
  std::string HostPort() const;
  // HostPort, with "https://" in front where it is for TLS: what the peer transport is told.
  std::string PeerAddress() const;
  std::string ToString() const;

  bool operator==(const Url&) const = default;
};

// One URL. InvalidArgument, with etcd's words, for another scheme, a missing
// port, or anything after the port.
absl::StatusOr<Url> ParseUrl(std::string_view text);

// A comma-separated list, at least one, sorted by text as etcd sorts them.
absl::StatusOr<std::vector<Url>> ParseUrls(std::string_view text);

std::vector<std::string> UrlStrings(const std::vector<Url>& urls);
std::string JoinUrls(const std::vector<Url>& urls);

}  // namespace keel::kvstore
