#include "base/pki/authority.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::base {

namespace {

constexpr uint32_t kDaysBeforeRenewal = 30;

}  // namespace

absl::StatusOr<KeyPair> ReadKeyPair(const std::string& base) {
  KeyPair pair;
  KEEL_ASSIGN_OR_RETURN(pair.certificate, ReadFile(PosixFileSystem(), StrCat(base, ".crt")));
  KEEL_ASSIGN_OR_RETURN(pair.key, ReadFile(PosixFileSystem(), StrCat(base, ".key")));
  return pair;
}

absl::Status WriteKeyPair(const std::string& base, const KeyPair& pair) {
  const size_t slash = base.rfind('/');
  const std::string dir = slash == std::string::npos ? "." : base.substr(0, slash);
  if (!PosixFileSystem().Exists(dir)) {
    KEEL_RETURN_IF_ERROR(PosixFileSystem().CreateDirs(dir));
    (void)::chmod(dir.c_str(), 0700);
  }
  // The key first: a certificate without its key is of no use to anybody.
  KEEL_RETURN_IF_ERROR(WriteWithMode(StrCat(base, ".key"), pair.key, 0600));
  return WriteWithMode(StrCat(base, ".crt"), pair.certificate, 0644);
}

absl::StatusOr<Authority> Authority::Make(const std::string& common_name, uint32_t validity_days) {
  KeyPair pair;
  pair.key = NewEcKeyPem();
  KEEL_ASSIGN_OR_RETURN(pair.certificate, SignCertificate({.common_name = common_name,
                                                           .authority = true,
                                                           .validity_days = validity_days},
                                                          pair.key, {}));
  return Authority(std::move(pair));
}

absl::StatusOr<Authority> Authority::Load(const std::string& base) {
  KEEL_ASSIGN_OR_RETURN(KeyPair pair, ReadKeyPair(base));
  // Signing once tells whether the two files are what they should be.
  const auto probe = SignCertificate({.common_name = "probe"}, NewEcKeyPem(), pair);
  if (!probe.ok()) {
    return absl::InvalidArgumentError(
        StrCat(base, ".crt, ", base, ".key: ", ToStd(probe.status().message())));
  }
  return Authority(std::move(pair));
}

absl::StatusOr<Authority> Authority::Ensure(const std::string& base, const std::string& common_name,
                                            uint32_t validity_days) {
  FileSystem& fs = PosixFileSystem();
  // One of the two alone is an accident: making a new authority would cut off all whom the old one
  // vouched for.
  if (fs.Exists(StrCat(base, ".crt")) || fs.Exists(StrCat(base, ".key"))) return Load(base);
  KEEL_ASSIGN_OR_RETURN(Authority made, Make(common_name, validity_days));
  KEEL_RETURN_IF_ERROR(WriteKeyPair(base, made.pair_));
  return made;
}

absl::StatusOr<KeyPair> Authority::Issue(const CertificateSpec& spec) const {
  KeyPair issued;
  issued.key = NewEcKeyPem();
  KEEL_ASSIGN_OR_RETURN(issued.certificate, SignCertificate(spec, issued.key, pair_));
  return issued;
}

absl::Status Authority::EnsureFiles(const std::string& base, const CertificateSpec& spec) const {
  if (const auto there = ReadKeyPair(base);
      there.ok() && IsCurrent(*there, spec, pair_.certificate, kDaysBeforeRenewal)) {
    return absl::OkStatus();
  }
  KEEL_ASSIGN_OR_RETURN(const KeyPair issued, Issue(spec));
  return WriteKeyPair(base, issued);
}

}  // namespace keel::base
