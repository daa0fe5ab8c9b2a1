#include "base/pki/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <memory>

#include "base/check.h"
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
using Bio = std::unique_ptr<BIO, Freer<&BIO_free_all>>;

Bio Reader(const std::string& pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

Key ReadKey(const std::string& pem) {
  char no_passphrase[] = "";
  return Key(PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, nullptr, no_passphrase));
}

Certificate ReadCertificate(const std::string& pem) {
  return Certificate(PEM_read_bio_X509(Reader(pem).get(), nullptr, nullptr, nullptr));
}

std::string KeyPem(EVP_PKEY* key) {
  KEEL_CHECK(key != nullptr);
  const Bio out(BIO_new(BIO_s_mem()));
  KEEL_CHECK(PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return TextOf(out.get());
}

void AddExtension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  KEEL_CHECK(extension != nullptr, "id=", id, " value=", value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

void SetRandomSerial(X509* certificate) {
  unsigned char serial[16];
  KEEL_CHECK(RAND_bytes(serial, sizeof(serial)) == 1);
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);  // positive, 16 bytes
  BIGNUM* number = BN_bin2bn(serial, sizeof(serial), nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
  BN_free(number);
}

bool IsAddress(const std::string& host) {
  boost::system::error_code not_address;
  boost::asio::ip::make_address(host, not_address);
  return !not_address;
}

void AddToName(X509_NAME* name, const char* field, const std::string& value) {
  KEEL_CHECK(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                        reinterpret_cast<const unsigned char*>(value.data()),
                                        static_cast<int>(value.size()), -1, 0) == 1,
             "field=", field);
}

// What IsCurrent compares: all texts of the subject, sorted, and the SAN as it prints.
std::vector<std::string> SubjectOf(X509* certificate) {
  std::vector<std::string> parts;
  X509_NAME* const name = X509_get_subject_name(certificate);
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    X509_NAME_ENTRY* const entry = X509_NAME_get_entry(name, i);
    unsigned char* text = nullptr;
    const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
    if (size < 0) continue;
    parts.push_back(StrCat(OBJ_nid2sn(OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry))), "=",
                           std::string(reinterpret_cast<char*>(text), static_cast<size_t>(size))));
    OPENSSL_free(text);
  }
  std::sort(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> SubjectOf(const CertificateSpec& spec) {
  std::vector<std::string> parts;
  if (!spec.common_name.empty()) parts.push_back(StrCat("CN=", spec.common_name));
  for (const std::string& o : spec.organizations) parts.push_back(StrCat("O=", o));
  std::sort(parts.begin(), parts.end());
  return parts;
}

bool IsFor(X509* certificate, const std::vector<std::string>& hosts) {
  return std::all_of(hosts.begin(), hosts.end(), [&](const std::string& host) {
    return IsAddress(host)
               ? X509_check_ip_asc(certificate, host.c_str(), 0) == 1
               : X509_check_host(certificate, host.data(), host.size(), 0, nullptr) == 1;
  });
}

}  // namespace

std::string NewEcKeyPem() { return KeyPem(Key(EVP_EC_gen("P-256")).get()); }

std::string NewRsaKeyPem() { return KeyPem(Key(EVP_RSA_gen(2048)).get()); }

absl::StatusOr<std::string> SignCertificate(const CertificateSpec& spec, const std::string& key_pem,
                                            const KeyPair& issuer) {
  for (const std::string& host : spec.hosts) {
    if (host.empty() || host.find_first_of(", \t\n\\") != std::string::npos) {
      return absl::InvalidArgumentError(StrCat("\"", host, "\" is no host name"));
    }
  }
  const Key key = ReadKey(key_pem);
  if (key == nullptr) return absl::InvalidArgumentError("the PEM holds no private key");
  const bool by_itself = issuer.certificate.empty();
  const Certificate certificate(X509_new());
  X509* const x = certificate.get();
  const Certificate parent = by_itself ? nullptr : ReadCertificate(issuer.certificate);
  const Key parent_key = by_itself ? nullptr : ReadKey(issuer.key);
  if (!by_itself && (parent == nullptr || parent_key == nullptr)) {
    return absl::InvalidArgumentError("the issuer's PEM holds no certificate with its key");
  }
  X509* const signer = by_itself ? x : parent.get();

  X509_set_version(x, 2);
  SetRandomSerial(x);
  X509_gmtime_adj(X509_getm_notBefore(x), -300);
  X509_time_adj_ex(X509_getm_notAfter(x), static_cast<int>(spec.validity_days), 0, nullptr);
  X509_set_pubkey(x, key.get());
  X509_NAME* const name = X509_get_subject_name(x);
  for (const std::string& o : spec.organizations) AddToName(name, "O", o);
  if (!spec.common_name.empty()) AddToName(name, "CN", spec.common_name);
  X509_set_issuer_name(x, X509_get_subject_name(signer));

  AddExtension(x, signer, NID_basic_constraints,
               spec.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  AddExtension(x, signer, NID_key_usage,
               spec.authority ? "critical,digitalSignature,keyCertSign,cRLSign"
                              : "critical,digitalSignature");
  if (spec.server || spec.client) {
    AddExtension(x, signer, NID_ext_key_usage,
                 StrCat(spec.server ? "serverAuth" : "", spec.server && spec.client ? "," : "",
                        spec.client ? "clientAuth" : ""));
  }
  AddExtension(x, signer, NID_subject_key_identifier, "hash");
  if (!by_itself) AddExtension(x, signer, NID_authority_key_identifier, "keyid");
  std::string names;
  for (const std::string& host : spec.hosts) {
    names += StrCat(names.empty() ? "" : ",", IsAddress(host) ? "IP:" : "DNS:", host);
  }
  if (!names.empty()) AddExtension(x, signer, NID_subject_alt_name, names);
  KEEL_CHECK(X509_sign(x, by_itself ? key.get() : parent_key.get(), EVP_sha256()) > 0);

  const Bio out(BIO_new(BIO_s_mem()));
  KEEL_CHECK(PEM_write_bio_X509(out.get(), x) == 1);
  return TextOf(out.get());
}

bool IsCurrent(const KeyPair& pair, const CertificateSpec& spec, const std::string& issuer,
               uint32_t days_left) {
  const Certificate certificate = ReadCertificate(pair.certificate);
  const Key key = ReadKey(pair.key);
  if (certificate == nullptr || key == nullptr) return false;
  X509* const x = certificate.get();
  time_t until = ::time(nullptr) + static_cast<time_t>(days_left) * 86400;
  if (X509_cmp_time(X509_get0_notAfter(x), &until) <= 0) return false;
  if (X509_check_private_key(x, key.get()) != 1) return false;
  if (SubjectOf(x) != SubjectOf(spec) || !IsFor(x, spec.hosts)) return false;
  if (issuer.empty()) return true;
  const Certificate parent = ReadCertificate(issuer);
  return parent != nullptr && X509_verify(x, X509_get0_pubkey(parent.get())) == 1;
}

bool HasExpired(const std::string& certificate) {
  const Certificate read = ReadCertificate(certificate);
  return read == nullptr || X509_cmp_current_time(X509_get0_notAfter(read.get())) <= 0;
}

absl::Status WriteWithMode(const std::string& path, std::string_view data, uint32_t mode) {
  const std::string temporary = StrCat(path, ".tmp");
  const auto failed = [&] {
    const int error = errno;
    ::unlink(temporary.c_str());
    return absl::UnavailableError(StrCat(path, ": ", strerror(error)));
  };
  ::unlink(temporary.c_str());
  const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd < 0) return failed();
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0) {
      ::close(fd);
      return failed();
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  // On disk before it takes the old one's place.
  const bool synced = ::fdatasync(fd) == 0;
  if (::close(fd) != 0 || !synced) return failed();
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed();
  return absl::OkStatus();
}

}  // namespace keel::base
