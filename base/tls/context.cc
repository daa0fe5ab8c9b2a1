#include "base/tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::base {

namespace {

constexpr const char* kDefaultCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
// What a connection reads from its socket at a time.
constexpr size_t kReadAheadBytes = 32 * 1024;

std::string OpenSslError() {
  const unsigned long code = ERR_peek_last_error();  // NOLINT: OpenSSL's type
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason != nullptr ? reason : "unknown error";
}

absl::Status FileError(std::string_view what, const std::string& file) {
  struct stat info;
  if (::stat(file.c_str(), &info) != 0) {
    ERR_clear_error();
    return absl::NotFoundError(StrCat(what, " ", file, ": ", strerror(errno)));
  }
  return absl::InvalidArgumentError(StrCat(what, " ", file, ": ", OpenSslError()));
}

int ToNumber(TlsVersion version) {
  switch (version) {
    case TlsVersion::kTls12:
      return TLS1_2_VERSION;
    case TlsVersion::kTls13:
      return TLS1_3_VERSION;
    case TlsVersion::kDefault:
      break;
  }
  return 0;
}

// Length-prefixed names, as ALPN has them.
std::string WireProtocols(const std::vector<std::string>& protocols) {
  std::string out;
  for (const std::string& name : protocols) {
    out.push_back(static_cast<char>(name.size()));
    out += name;
  }
  return out;
}

int SelectProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* offered, unsigned offered_size, void* data) {
  const auto* material = static_cast<const TlsMaterial*>(data);
  const std::string ours = WireProtocols(material->options.protocols);
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  // `chosen` may point into `ours`; what was offered lasts.
  const std::string_view name(reinterpret_cast<char*>(chosen), *out_size);
  const std::string_view list(reinterpret_cast<const char*>(offered), offered_size);
  for (size_t at = 0; at < list.size();) {
    const auto size = static_cast<unsigned char>(list[at]);
    if (list.substr(at + 1, size) == name) {
      *out = offered + at + 1;
      return SSL_TLSEXT_ERR_OK;
    }
    at += 1u + size;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

absl::Status AddCrls(X509_STORE* store, const std::string& file) {
  const auto failed = [&] { return FileError("certificate revocation list", file); };
  BIO* bio = BIO_new_file(file.c_str(), "rb");
  if (bio == nullptr) return failed();
  int count = 0;
  X509_CRL* crl = nullptr;
  const auto add = [&] {
    ++count;
    X509_STORE_add_crl(store, crl);
    const ASN1_TIME* until = X509_CRL_get0_nextUpdate(crl);
    if (until != nullptr && X509_cmp_current_time(until) < 0) {
      Log().warn("certificate revocation list is past its date, and still used file={}", file);
    }
    X509_CRL_free(crl);
  };
  while ((crl = PEM_read_bio_X509_CRL(bio, nullptr, nullptr, nullptr)) != nullptr) add();
  const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (count == 0) {
    ERR_clear_error();
    (void)BIO_reset(bio);
    crl = d2i_X509_CRL_bio(bio, nullptr);
    if (crl != nullptr) add();
  }
  BIO_free(bio);
  if (count == 0 || (count > 0 && !ended && crl == nullptr && ERR_peek_last_error() != 0)) {
    return failed();
  }
  ERR_clear_error();
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return absl::OkStatus();
}

absl::Status CheckOptions(const TlsOptions& options, TlsRole role) {
  if (options.cert_file.empty() != options.key_file.empty()) {
    return absl::InvalidArgumentError(StrCat("KeyFile and CertFile must both be present[key: ",
                                             options.key_file, ", cert: ", options.cert_file, "]"));
  }
  if (role == TlsRole::kServer && options.cert_file.empty() && options.pair.certificate.empty()) {
    return absl::InvalidArgumentError("a TLS server needs a certificate and its key");
  }
  if (!options.allowed_cns.empty() && !options.allowed_hostnames.empty()) {
    return absl::InvalidArgumentError("AllowedCN and AllowedHostname are mutually exclusive");
  }
  const int min = ToNumber(options.min_version);
  const int max = ToNumber(options.max_version);
  if (max != 0 && min > max) {
    return absl::InvalidArgumentError("min version (TLS1.3) is greater than max version (TLS1.2)");
  }
  if (min == TLS1_3_VERSION && !options.cipher_suites.empty()) {
    return absl::InvalidArgumentError(
        "cipher suites cannot be configured when only TLS1.3 is enabled");
  }
  return absl::OkStatus();
}

absl::Status LoadTrust(SSL_CTX* context, const TlsOptions& options) {
  if (options.trusted_ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context);
  } else {
    if (SSL_CTX_load_verify_file(context, options.trusted_ca_file.c_str()) != 1) {
      return FileError("trusted CA", options.trusted_ca_file);
    }
  }
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  // A certificate that is trusted by itself needs no issuer: a self-signed one of --auto-tls.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  if (!options.crl_file.empty()) KEEL_RETURN_IF_ERROR(AddCrls(store, options.crl_file));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsVersion> ParseTlsVersion(std::string_view text) {
  if (text.empty()) return TlsVersion::kDefault;
  if (text == "TLS1.2") return TlsVersion::kTls12;
  if (text == "TLS1.3") return TlsVersion::kTls13;
  return absl::InvalidArgumentError(
      StrCat("unexpected TLS version \"", text, "\" (must be one of: TLS1.2, TLS1.3)"));
}

absl::StatusOr<std::string> OpenSslCiphers(const std::vector<std::string>& names) {
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  SSL_CTX_set_cipher_list(context, "ALL");
  STACK_OF(SSL_CIPHER)* const all = SSL_CTX_get_ciphers(context);
  std::string out;
  std::string unknown;
  for (const std::string& name : names) {
    bool found = false;
    for (int i = 0; i < sk_SSL_CIPHER_num(all) && !found; ++i) {
      const SSL_CIPHER* cipher = sk_SSL_CIPHER_value(all, i);
      const std::string standard = SSL_CIPHER_standard_name(cipher);
      // Go leaves the hash out of these names.
      if (standard != name && standard != name + "_SHA256") continue;
      found = true;
      if (std::string_view(SSL_CIPHER_get_version(cipher)) == "TLSv1.3") continue;
      out += (out.empty() ? "" : ":") + std::string(SSL_CIPHER_get_name(cipher));
    }
    if (!found && unknown.empty()) unknown = name;
  }
  SSL_CTX_free(context);
  if (!unknown.empty()) {
    return absl::InvalidArgumentError(StrCat("unexpected TLS cipher suite \"", unknown, "\""));
  }
  return out;
}

namespace {

absl::Status UseFiles(SSL_CTX* context, const TlsOptions& options) {
  if (SSL_CTX_use_certificate_chain_file(context, options.cert_file.c_str()) != 1) {
    return FileError("certificate", options.cert_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    if (ERR_GET_LIB(ERR_peek_last_error()) != ERR_LIB_X509) {
      return FileError("private key", options.key_file);
    }
    ERR_clear_error();
    return absl::InvalidArgumentError(StrCat(
        "private key ", options.key_file, " does not belong to certificate ", options.cert_file));
  }
  return absl::OkStatus();
}

absl::Status UsePair(SSL_CTX* context, const KeyPair& pair) {
  const auto read = [](const std::string& pem, auto* parse) {
    BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    auto* out = parse(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    return out;
  };
  X509* certificate = read(pair.certificate, &PEM_read_bio_X509);
  EVP_PKEY* key = read(pair.key, &PEM_read_bio_PrivateKey);
  const bool used = certificate != nullptr && key != nullptr &&
                    SSL_CTX_use_certificate(context, certificate) == 1 &&
                    SSL_CTX_use_PrivateKey(context, key) == 1;
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (used) return absl::OkStatus();
  return absl::InvalidArgumentError(StrCat("certificate and key in memory: ", OpenSslError()));
}

absl::StatusOr<std::shared_ptr<const TlsMaterial>> Load(const TlsOptions& options, TlsRole role,
                                                        int (*verify)(int, X509_STORE_CTX*),
                                                        std::shared_ptr<TlsFigures> figures) {
  auto material = std::make_shared<TlsMaterial>(options, role);
  material->figures = std::move(figures);
  SSL_CTX* const context =
      SSL_CTX_new(role == TlsRole::kServer ? TLS_server_method() : TLS_client_method());
  if (context == nullptr) return absl::InternalError(StrCat("OpenSSL: ", OpenSslError()));
  material->context = context;
  ERR_clear_error();

  const int min = ToNumber(options.min_version);
  SSL_CTX_set_min_proto_version(context, min != 0 ? min : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context, ToNumber(options.max_version));
  KEEL_ASSIGN_OR_RETURN(const std::string ciphers, OpenSslCiphers(options.cipher_suites));
  if (SSL_CTX_set_cipher_list(context, ciphers.empty() ? kDefaultCiphers : ciphers.c_str()) != 1) {
    return absl::InvalidArgumentError(StrCat("cipher suites: ", OpenSslError()));
  }
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   // The protocols inside know where they end.
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Every connection has its certificates checked: nothing is resumed.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadAheadBytes);

  if (!options.cert_file.empty()) {
    KEEL_RETURN_IF_ERROR(UseFiles(context, options));
  } else if (!options.pair.certificate.empty()) {
    KEEL_RETURN_IF_ERROR(UsePair(context, options.pair));
  }
  if (role == TlsRole::kServer) {
    if (options.require_client_cert || options.request_client_cert) {
      KEEL_RETURN_IF_ERROR(LoadTrust(context, options));
      const int must = options.require_client_cert ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER | must, verify);
      if (!options.trusted_ca_file.empty()) {
        SSL_CTX_set_client_CA_list(context,
                                   SSL_load_client_CA_file(options.trusted_ca_file.c_str()));
      }
    }
    if (!options.protocols.empty()) {
      SSL_CTX_set_alpn_select_cb(context, &SelectProtocol, material.get());
    }
  } else {
    if (!options.insecure_skip_verify) {
      KEEL_RETURN_IF_ERROR(LoadTrust(context, options));
      SSL_CTX_set_verify(context, SSL_VERIFY_PEER, verify);
    }
    const std::string protocols = WireProtocols(options.protocols);
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
  }
  ERR_clear_error();
  return material;
}

}  // namespace

TlsContext::TlsContext(TlsOptions options, TlsRole role)
    : options_(std::move(options)), role_(role) {
  for (const std::string* file :
       {&options_.cert_file, &options_.key_file, &options_.trusted_ca_file, &options_.crl_file}) {
    if (!file->empty()) files_.push_back(*file);
  }
}

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContext::Create(TlsOptions options, TlsRole role) {
  KEEL_RETURN_IF_ERROR(CheckOptions(options, role));
  std::shared_ptr<TlsContext> out(new TlsContext(std::move(options), role));
  // Before the files are read: what changes meanwhile is seen the next time.
  out->stamps_ = out->Look();
  KEEL_ASSIGN_OR_RETURN(out->material_,
                        Load(out->options_, role, &TlsSession::Verify, out->figures_));
  return out;
}

std::vector<TlsContext::FileStamp> TlsContext::Look() const {
  std::vector<FileStamp> out;
  for (const std::string& file : files_) {
    FileStamp& stamp = out.emplace_back();
    struct stat info;
    if (::stat(file.c_str(), &info) != 0) continue;
    stamp = {true, info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, info.st_ino,
             info.st_size};
  }
  return out;
}

std::shared_ptr<const TlsMaterial> TlsContext::Current() {
  const std::lock_guard lock(mu_);
  std::vector<FileStamp> now = Look();
  if (now == stamps_) return material_;
  stamps_ = std::move(now);
  auto loaded = Load(options_, role_, &TlsSession::Verify, figures_);
  if (!loaded.ok()) {
    Log().error("tls: changed files are not used, the former ones stay error=\"{}\"",
                ToStd(loaded.status().message()));
    return material_;
  }
  material_ = *std::move(loaded);
  reloads_.fetch_add(1, std::memory_order_relaxed);
  Log().info("tls: changed files were read again cert={} ca={}", options_.cert_file,
             options_.trusted_ca_file);
  return material_;
}

std::unique_ptr<TlsSession> TlsContext::NewSession(int fd, const std::string& host) {
  return std::make_unique<TlsSession>(Current(), fd, host);
}

}  // namespace keel::base
