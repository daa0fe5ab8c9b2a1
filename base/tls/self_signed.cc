#include "base/tls/self_signed.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/pki/certificate.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::base {

absl::StatusOr<KeyPair> MakeSelfSigned(const std::vector<std::string>& hosts,
                                       uint32_t validity_years) {
  if (validity_years == 0 || validity_years > 1000) {
    return absl::InvalidArgumentError(
        "selfSignedCertValidity is invalid,it should be greater than 0");
  }
  const CertificateSpec spec{.organizations = {"keel"},
                             .hosts = hosts,
                             .server = true,
                             .client = true,
                             .validity_days = 365 * validity_years};
  KeyPair pair;
  pair.key = NewEcKeyPem();
  KEEL_ASSIGN_OR_RETURN(pair.certificate, SignCertificate(spec, pair.key, {}));
  return pair;
}

absl::Status EnsureSelfSigned(const std::string& dir, const std::vector<std::string>& hosts,
                              uint32_t validity_years) {
  const std::string cert_file = dir + "/cert.pem";
  const std::string key_file = dir + "/key.pem";
  FileSystem& fs = PosixFileSystem();
  const auto cert_there = ReadFile(fs, cert_file);
  const auto key_there = ReadFile(fs, key_file);
  // Whatever hosts it names: the user may have put other files there.
  if (cert_there.ok() && key_there.ok() && !HasExpired(*cert_there)) return absl::OkStatus();
  KEEL_ASSIGN_OR_RETURN(const KeyPair pair, MakeSelfSigned(hosts, validity_years));
  KEEL_RETURN_IF_ERROR(fs.CreateDirs(dir));
  (void)::chmod(dir.c_str(), 0700);
  KEEL_RETURN_IF_ERROR(WriteWithMode(key_file, pair.key, 0600));
  KEEL_RETURN_IF_ERROR(WriteWithMode(cert_file, pair.certificate, 0644));
  Log().info("made a self-signed certificate file={} years={}", cert_file, validity_years);
  return absl::OkStatus();
}

}  // namespace keel::base
