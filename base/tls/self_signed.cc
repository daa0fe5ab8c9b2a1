#include "base/tls/self_signed.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ip/address.hpp>
#include <memory>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::base {

namespace {

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* thing) const {
    kFree(thing);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<&EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<&X509_free>>;

bool StillValid(const std::string& cert_file, const std::string& key_file) {
  if (::access(key_file.c_str(), R_OK) != 0) return false;
  FILE* const file = ::fopen(cert_file.c_str(), "r");
  if (file == nullptr) return false;
  const Certificate certificate(PEM_read_X509(file, nullptr, nullptr, nullptr));
  ::fclose(file);
  return certificate != nullptr && X509_cmp_current_time(X509_get0_notAfter(certificate.get())) > 0;
}

void AddExtension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  KEEL_CHECK(extension != nullptr, "value=", value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate Make(EVP_PKEY* key, const std::vector<std::string>& hosts, uint32_t validity_years) {
  Certificate certificate(X509_new());
  X509* const x = certificate.get();
  X509_set_version(x, 2);
  unsigned char serial[16];
  KEEL_CHECK(RAND_bytes(serial, sizeof(serial)) == 1);
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial, sizeof(serial), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
  BN_free(number);
  X509_gmtime_adj(X509_getm_notBefore(x), 0);
  X509_time_adj_ex(X509_getm_notAfter(x), static_cast<int>(365 * validity_years), 0, nullptr);
  X509_set_pubkey(x, key);
  X509_NAME* const name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("keel"), -1, -1, 0);
  X509_set_issuer_name(x, name);
  AddExtension(x, NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(x, NID_key_usage, "critical,digitalSignature");
  AddExtension(x, NID_ext_key_usage, "serverAuth,clientAuth");
  std::string names;
  for (const std::string& host : hosts) {
    boost::system::error_code not_address;
    boost::asio::ip::make_address(host, not_address);
    names += StrCat(names.empty() ? "" : ",", not_address ? "DNS:" : "IP:", host);
  }
  if (!names.empty()) AddExtension(x, NID_subject_alt_name, names);
  KEEL_CHECK(X509_sign(x, key, EVP_sha256()) > 0);
  return certificate;
}

template <typename Write>
absl::Status WriteFile(const std::string& path, mode_t mode, Write write) {
  const auto failed = [&] { return absl::UnavailableError(StrCat(path, ": ", strerror(errno))); };
  ::unlink(path.c_str());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return failed();
  FILE* const file = ::fdopen(fd, "w");
  const bool written = write(file) == 1;
  if (::fclose(file) != 0 || !written) return failed();
  return absl::OkStatus();
}

}  // namespace

absl::Status EnsureSelfSigned(const std::string& dir, const std::vector<std::string>& hosts,
                              uint32_t validity_years) {
  if (validity_years == 0 || validity_years > 1000) {
    return absl::InvalidArgumentError(
        "selfSignedCertValidity is invalid,it should be greater than 0");
  }
  for (const std::string& host : hosts) {
    if (host.find_first_of(", \t\n\\") != std::string::npos) {
      return absl::InvalidArgumentError(StrCat("\"", host, "\" is no host name"));
    }
  }
  const std::string cert_file = dir + "/cert.pem";
  const std::string key_file = dir + "/key.pem";
  if (StillValid(cert_file, key_file)) return absl::OkStatus();
  KEEL_RETURN_IF_ERROR(PosixFileSystem().CreateDirs(dir));
  (void)::chmod(dir.c_str(), 0700);
  const Key key(EVP_EC_gen("P-256"));
  KEEL_CHECK(key != nullptr);
  const Certificate certificate = Make(key.get(), hosts, validity_years);
  KEEL_RETURN_IF_ERROR(WriteFile(key_file, 0600, [&](FILE* file) {
    return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  }));
  KEEL_RETURN_IF_ERROR(WriteFile(
      cert_file, 0644, [&](FILE* file) { return PEM_write_X509(file, certificate.get()); }));
  Log().info("made a self-signed certificate file={} years={}", cert_file, validity_years);
  return absl::OkStatus();
}

}  // namespace keel::base
