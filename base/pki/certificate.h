// Keys and X.509 certificates in PEM: what TLS and tokens are made of.
//
//   const std::string key = NewEcKeyPem();
//   KEEL_ASSIGN_OR_RETURN(std::string pem, SignCertificate({.common_name = "jane", .client = true},
//                                                          key, {ca_certificate, ca_key}));
//
// Thread-safe: free functions over the caller's text. Nothing here logs a key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keel::base {

// A certificate with its private key, both PEM.
struct KeyPair {
  std::string certificate;
  std::string key;
};

// What a certificate is to say.
struct CertificateSpec {
  std::string common_name{};
  std::vector<std::string> organizations{};
  std::vector<std::string> hosts{};  // names (DNS) and addresses (IP) of the SAN
  bool server = false;               // extended key usage
  bool client = false;
  bool authority = false;  // may sign certificates
  uint32_t validity_days = 365;
};

// A new private key: ECDSA on P-256, or RSA of 2048 bits (PKCS#8).
std::string NewEcKeyPem();
std::string NewRsaKeyPem();

// A certificate for the public part of `key`, signed by `issuer`, or by `key` itself when `issuer`
// is empty. Valid from five minutes ago, for clocks that are late. InvalidArgument for a host that
// is no name and for PEM that does not parse.
absl::StatusOr<std::string> SignCertificate(const CertificateSpec& spec, const std::string& key,
                                            const KeyPair& issuer);

// Whether `certificate` holds for `days_left` more days, belongs to `key`, says what `spec` says
// and, if `issuer` is not empty, was signed by that certificate.
bool IsCurrent(const KeyPair& pair, const CertificateSpec& spec, const std::string& issuer,
               uint32_t days_left);

// Whether its end is past; true too for what is no certificate.
bool HasExpired(const std::string& certificate);

// Replaces the file by one of that mode, which nobody sees half-written. Unavailable naming it.
absl::Status WriteWithMode(const std::string& path, std::string_view data, uint32_t mode);

}  // namespace keel::base
