// A certificate authority of one's own: makes the certificates of a cluster's servers, daemons and
// users.
//
//   KEEL_ASSIGN_OR_RETURN(Authority ca, Authority::Ensure(dir + "/ca", "kubernetes"));
//   KEEL_RETURN_IF_ERROR(ca.EnsureFiles(dir + "/apiserver", {.common_name = "kube-apiserver",
//       .hosts = {"localhost", "127.0.0.1", "kubernetes.default.svc"}, .server = true}));
//   KEEL_ASSIGN_OR_RETURN(KeyPair admin, ca.Issue({.common_name = "kubernetes-admin",
//       .organizations = {"system:masters"}, .client = true}));
//
// Files come in pairs: BASE.crt (mode 0644) and BASE.key (mode 0600), both PEM; keys are ECDSA on
// P-256. Whoever reads the authority's key file can be anybody. Thread-safety: const methods from
// any thread.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/pki/certificate.h"

namespace keel::base {

class Authority {
 public:
  // A new one, of a new key, in memory only.
  static absl::StatusOr<Authority> Make(const std::string& common_name,
                                        uint32_t validity_days = 3650);
  // Of BASE.crt and BASE.key; NotFound, Unavailable, InvalidArgument naming the file.
  static absl::StatusOr<Authority> Load(const std::string& base);
  // Loads BASE.crt and BASE.key, or makes them (and the folder, mode 0700) when neither is there.
  static absl::StatusOr<Authority> Ensure(const std::string& base, const std::string& common_name,
                                          uint32_t validity_days = 3650);

  // A certificate for a new key. InvalidArgument for a host that is no name.
  absl::StatusOr<KeyPair> Issue(const CertificateSpec& spec) const;
  // Writes BASE.crt and BASE.key (and makes the folder), unless they are there, are this
  // authority's, say what `spec` says and hold for 30 days more.
  absl::Status EnsureFiles(const std::string& base, const CertificateSpec& spec) const;

  // PEM: what clients trust.
  const std::string& certificate() const { return pair_.certificate; }

 private:
  explicit Authority(KeyPair pair) : pair_(std::move(pair)) {}
  KeyPair pair_;
};

// BASE.crt and BASE.key as they are; NotFound when one is missing.
absl::StatusOr<KeyPair> ReadKeyPair(const std::string& base);
// Makes the folder of BASE.
absl::Status WriteKeyPair(const std::string& base, const KeyPair& pair);

}  // namespace keel::base
