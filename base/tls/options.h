// What a TLS context is made of. See context.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/pki/certificate.h"

namespace keel::base {

enum class TlsRole : uint8_t { kServer, kClient };
enum class TlsVersion : uint8_t { kDefault, kTls12, kTls13 };

// All files are PEM (the CRL may be DER) and are read again when they change.
struct TlsOptions {
  // The certificate to show, with those of intermediate CAs behind it, and its key. A server needs
  // them; a client shows none when they are empty.
  std::string cert_file;
  std::string key_file;
  // The same in memory, one certificate and its key in PEM; counts when there are no files.
  KeyPair pair;
  // Whose certificates to trust; empty: the system's CAs.
  std::string trusted_ca_file;
  // Certificates that were revoked; empty: not checked. A certificate whose issuer has no list in
  // the file passes, as does one whose issuer's list is past its date (which is logged).
  std::string crl_file;

  // Servers: who shows no certificate that verifies is turned away.
  bool require_client_cert = false;
  // Servers: ask for a certificate, but take who has none; one that does not verify is turned away.
  bool request_client_cert = false;
  // Of the other side's certificate, when not empty: one of these as common name, respectively one
  // of these as a host name that it is valid for. At most one of the two.
  std::vector<std::string> allowed_cns;
  std::vector<std::string> allowed_hostnames;

  // Clients: take any certificate. The connection is then open to whoever sits in between.
  bool insecure_skip_verify = false;
  // Clients: the name to find in the certificate instead of the host that is dialled.
  std::string server_name;

  // Cipher suites of TLS 1.2 by their IANA (or Go's) names; empty: those with forward secrecy and
  // authenticated encryption. Those of TLS 1.3 cannot be chosen.
  std::vector<std::string> cipher_suites;
  TlsVersion min_version = TlsVersion::kDefault;  // TLS 1.2
  TlsVersion max_version = TlsVersion::kDefault;  // the newest
  // Protocols to agree on (ALPN), preferred first. A server refuses a client that offers others
  // only.
  std::vector<std::string> protocols;
};

// "" (the default), "TLS1.2", "TLS1.3"; InvalidArgument otherwise.
absl::StatusOr<TlsVersion> ParseTlsVersion(std::string_view text);

// A list of cipher suites in OpenSSL's names; InvalidArgument naming one that is unknown.
absl::StatusOr<std::string> OpenSslCiphers(const std::vector<std::string>& names);

}  // namespace keel::base
