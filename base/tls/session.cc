#include "base/tls/session.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>
#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace keel::base {

namespace {

// A buffer that grew beyond this is given back once it is written.
constexpr size_t kKeepBytes = 64 * 1024;

// --- OpenSSL's writes, gathered ------------------------------------------------

int GatherWrite(BIO* bio, const char* bytes, int size) {
  static_cast<std::string*>(BIO_get_data(bio))->append(bytes, static_cast<size_t>(size));
  return size;
}

long GatherControl(BIO*, int command, long, void*) {  // NOLINT: the callback's type
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO* NewGather(std::string* out) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gather");
    KEEL_CHECK(made != nullptr);
    BIO_meth_set_write(made, &GatherWrite);
    BIO_meth_set_ctrl(made, &GatherControl);
    return made;
  }();
  BIO* bio = BIO_new(method);
  KEEL_CHECK(bio != nullptr);
  BIO_set_data(bio, out);
  BIO_set_init(bio, 1);
  return bio;
}

bool IsAddress(const std::string& host) {
  boost::system::error_code error;
  boost::asio::ip::make_address(host, error);
  return !error;
}

std::string TextOfEntry(X509_NAME* name, int at) {
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return {};
  std::string out(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return out;
}

std::string CommonName(X509* certificate) {
  X509_NAME* const subject = X509_get_subject_name(certificate);
  // The last one is the most specific, as Go has it.
  int at = -1;
  for (int next = -1; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, next)) >= 0;) {
    at = next;
  }
  return at < 0 ? std::string() : TextOfEntry(subject, at);
}

bool IsFor(X509* certificate, const std::string& host) {
  constexpr unsigned kFlags =
      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  return IsAddress(host)
             ? X509_check_ip_asc(certificate, host.c_str(), 0) == 1
             : X509_check_host(certificate, host.data(), host.size(), kFlags, nullptr) == 1;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

TlsFailure CauseOf(unsigned long code) {  // NOLINT: OpenSSL's type
  if (code == 0) return TlsFailure::kClosed;
  const int reason = ERR_GET_REASON(code);
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return TlsFailure::kOther;
  if (reason >= SSL_AD_REASON_OFFSET) return TlsFailure::kRefused;
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
      return TlsFailure::kNotTls;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return TlsFailure::kNoCertificate;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return TlsFailure::kNoAgreement;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
      return TlsFailure::kClosed;
    default:
      return TlsFailure::kOther;
  }
}

// What a failed call left behind, in words.
std::string Reason(TlsRole role, unsigned long code, int system_error) {  // NOLINT: OpenSSL's type
  const int reason = ERR_GET_REASON(code);
  switch (CauseOf(code)) {
    case TlsFailure::kClosed:
      return system_error != 0 ? strerror(system_error) : "the connection was closed";
    case TlsFailure::kRefused:
      return StrCat("the other side refused: ",
                    SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
    case TlsFailure::kNotTls:
      return role == TlsRole::kServer
                 ? "first record does not look like a TLS handshake (plain text?)"
                 : "the server does not speak TLS here";
    case TlsFailure::kNoCertificate:
      return "client didn't provide a certificate";
    case TlsFailure::kNoAgreement:
      if (reason == SSL_R_NO_SHARED_CIPHER) {
        return "no cipher suite supported by both client and server";
      }
      if (reason == SSL_R_NO_APPLICATION_PROTOCOL) {
        return "client requested unsupported application protocols";
      }
      return role == TlsRole::kServer ? "client offered only unsupported versions"
                                      : "server selected an unsupported version";
    default: {
      const char* text = ERR_reason_error_string(code);
      return text != nullptr ? text : "unknown error";
    }
  }
}

TlsNames NamesOf(X509* certificate) {
  TlsNames out;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) {
      out.names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                             static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      const unsigned char* bytes = ASN1_STRING_get0_data(name->d.iPAddress);
      if (ASN1_STRING_length(name->d.iPAddress) == 4) {
        boost::asio::ip::address_v4::bytes_type v4;
        memcpy(v4.data(), bytes, v4.size());
        out.addresses.push_back(boost::asio::ip::make_address_v4(v4).to_string());
      } else if (ASN1_STRING_length(name->d.iPAddress) == 16) {
        boost::asio::ip::address_v6::bytes_type v6;
        memcpy(v6.data(), bytes, v6.size());
        out.addresses.push_back(boost::asio::ip::make_address_v6(v6).to_string());
      }
    }
  }
  GENERAL_NAMES_free(names);
  return out;
}

TlsFailure CauseOfVerify(int error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return TlsFailure::kExpired;
    case X509_V_ERR_CERT_REVOKED:
      return TlsFailure::kRevoked;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
    case X509_V_ERR_APPLICATION_VERIFICATION:
      return TlsFailure::kWrongName;
    default:
      return TlsFailure::kUntrusted;
  }
}

}  // namespace

std::string TlsCertificateNames(X509* certificate) {
  const TlsNames found = NamesOf(certificate);
  std::string out;
  for (const std::string& name : found.names) out += (out.empty() ? "DNS:" : ", DNS:") + name;
  for (const std::string& address : found.addresses)
    out += (out.empty() ? "IP:" : ", IP:") + address;
  return out;
}

TlsSession::TlsSession(std::shared_ptr<const TlsMaterial> material, int fd, const std::string& host)
    : material_(std::move(material)), fd_(fd), ssl_(SSL_new(material_->context)) {
  KEEL_CHECK(ssl_ != nullptr, "SSL_new");
  SSL_set_app_data(ssl_, this);
  SSL_set_bio(ssl_, BIO_new_socket(fd, BIO_NOCLOSE), NewGather(&unwritten_));
  if (material_->role == TlsRole::kServer) {
    SSL_set_accept_state(ssl_);
    return;
  }
  SSL_set_connect_state(ssl_);
  host_ = material_->options.server_name.empty() ? host : material_->options.server_name;
  if (host_.empty()) return;
  const bool address = IsAddress(host_);
  if (!address) SSL_set_tlsext_host_name(ssl_, host_.c_str());
  if (material_->options.insecure_skip_verify) return;
  // Names are those of the certificate's SAN; the common name is none, as in Go.
  SSL_set_hostflags(ssl_,
                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host_.c_str());
  } else {
    SSL_set1_host(ssl_, host_.c_str());
  }
}

TlsSession::~TlsSession() {
  // Whoever owned the connection gave it up, or its time.
  if (!handshake_done_ && !failed_) material_->figures->Failed(TlsFailure::kClosed);
  SSL_free(ssl_);
}

// Called by OpenSSL for each certificate of the chain, from the root down, and for each error.
int TlsSession::Verify(int ok, X509_STORE_CTX* store) {
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* self = static_cast<TlsSession*>(SSL_get_app_data(ssl));
  const TlsOptions& options = self->material_->options;
  X509* const certificate = X509_STORE_CTX_get_current_cert(store);
  if (ok == 0) {
    const int error = X509_STORE_CTX_get_error(store);
    self->verify_failure_ = CauseOfVerify(error);
    switch (error) {
      case X509_V_ERR_UNABLE_TO_GET_CRL:
      case X509_V_ERR_CRL_HAS_EXPIRED:
      case X509_V_ERR_CRL_NOT_YET_VALID:
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
      case X509_V_ERR_HOSTNAME_MISMATCH:
      case X509_V_ERR_IP_ADDRESS_MISMATCH:
        self->verify_error_ = StrCat("certificate is valid for ", TlsCertificateNames(certificate),
                                     ", not ", self->host_);
        return 0;
      default:
        self->verify_error_ = X509_verify_cert_error_string(error);
        if (certificate != nullptr) {
          self->verify_error_ += StrCat(" (CN=", CommonName(certificate), ")");
        }
        return 0;
    }
  }
  if (X509_STORE_CTX_get_error_depth(store) != 0) return 1;
  const auto refuse = [&](std::string why) {
    self->verify_error_ = std::move(why);
    self->verify_failure_ = TlsFailure::kWrongName;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  };
  if (!options.allowed_cns.empty()) {
    const std::string name = CommonName(certificate);
    for (const std::string& allowed : options.allowed_cns) {
      if (name == allowed) return 1;
    }
    return refuse(StrCat("certificate's common name \"", name,
                         "\" is not allowed (allowed: ", Joined(options.allowed_cns), ")"));
  }
  if (!options.allowed_hostnames.empty()) {
    for (const std::string& allowed : options.allowed_hostnames) {
      if (IsFor(certificate, allowed)) return 1;
    }
    return refuse(StrCat("certificate is valid for ", TlsCertificateNames(certificate),
                         "; allowed: ", Joined(options.allowed_hostnames)));
  }
  return 1;
}

TlsSession::Result TlsSession::Fail() {
  const int system_error = errno;
  failed_ = true;
  const unsigned long code = ERR_peek_error();  // NOLINT: OpenSSL's type
  // A certificate that was refused is the reason, whatever OpenSSL noted first: a signature that
  // does not fit stands in its queue as "EVP lib".
  if (!handshake_done_ && !verify_error_.empty() && SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE) {
    error_ = StrCat("tls: ", verify_error_);
    material_->figures->Failed(verify_failure_);
  } else {
    if (!handshake_done_) material_->figures->Failed(CauseOf(code));
    error_ = StrCat("tls: ", Reason(material_->role, code, code == 0 ? system_error : 0));
  }
  ERR_clear_error();
  return Result::kFailed;
}

TlsSession::Result TlsSession::Handshake() {
  if (failed_) return Result::kFailed;
  size_t written = 0;
  if (handshake_done_) return Flush(&written);
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    handshake_done_ = true;
    material_->figures->Succeeded(std::chrono::steady_clock::now() - begun_);
    return Flush(&written);
  }
  const int error = SSL_get_error(ssl_, result);
  if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
    Fail();
    // The other side learns why, as far as that goes.
    (void)Flush(&written);
    return Result::kFailed;
  }
  const Result flushed = Flush(&written);
  if (flushed == Result::kFailed) {
    error_ = StrCat("tls: ", strerror(errno));
    failed_ = true;
    material_->figures->Failed(TlsFailure::kClosed);
  }
  return flushed == Result::kDone ? Result::kWantRead : flushed;
}

ssize_t TlsSession::Read(char* out, size_t size) {
  if (failed_) {
    errno = EPROTO;
    return -1;
  }
  size_t got = 0;
  drained_ = false;
  while (got < size) {
    ERR_clear_error();
    errno = 0;
    size_t n = 0;
    const int result = SSL_read_ex(ssl_, out + got, size - got, &n);
    if (result == 1) {
      got += n;
      continue;
    }
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE: {
        drained_ = true;
        // The answer to a change of keys, for instance.
        size_t written = 0;
        if (HasUnwritten()) (void)Flush(&written);
        if (got > 0) return static_cast<ssize_t>(got);
        errno = EAGAIN;
        return -1;
      }
      case SSL_ERROR_ZERO_RETURN:
        return static_cast<ssize_t>(got);
      default:
        // What came before the error is delivered first; the next call comes here again.
        if (got > 0) return static_cast<ssize_t>(got);
        {
          const int system_error = errno;
          Fail();
          errno = system_error != 0 ? system_error : EPROTO;
        }
        return -1;
    }
  }
  return static_cast<ssize_t>(got);
}

void TlsSession::Encrypt(std::string_view bytes) {
  if (failed_ || bytes.empty()) return;
  ERR_clear_error();
  size_t written = 0;
  if (SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written) != 1 || written != bytes.size()) {
    Fail();
  }
}

TlsSession::Result TlsSession::Flush(size_t* written) {
  while (HasUnwritten()) {
    const ssize_t n = ::send(fd_, unwritten_.data() + unwritten_at_,
                             unwritten_.size() - unwritten_at_, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Result::kWantWrite;
      return Result::kFailed;
    }
    *written += static_cast<size_t>(n);
    unwritten_at_ += static_cast<size_t>(n);
  }
  unwritten_at_ = 0;
  if (unwritten_.capacity() > kKeepBytes) {
    std::string().swap(unwritten_);
  } else {
    unwritten_.clear();
  }
  if (failed_ && handshake_done_) {
    errno = EPROTO;
    return Result::kFailed;
  }
  return Result::kDone;
}

void TlsSession::SayGoodbye() {
  if (failed_ || !handshake_done_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
  size_t written = 0;
  (void)Flush(&written);
}

std::string_view TlsSession::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::optional<std::string> TlsSession::peer_common_name() const {
  X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr || SSL_get_verify_mode(ssl_) == SSL_VERIFY_NONE) return std::nullopt;
  return CommonName(certificate);
}

std::shared_ptr<const TlsSubject> TlsSession::peer_subject() const {
  X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr || SSL_get_verify_mode(ssl_) == SSL_VERIFY_NONE) return nullptr;
  auto subject = std::make_shared<TlsSubject>();
  subject->common_name = CommonName(certificate);
  X509_NAME* const name = X509_get_subject_name(certificate);
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_organizationName, at)) >= 0;) {
    subject->organizations.push_back(TextOfEntry(name, at));
  }
  return subject;
}

TlsNames TlsSession::peer_names() const {
  X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr || SSL_get_verify_mode(ssl_) == SSL_VERIFY_NONE) return {};
  return NamesOf(certificate);
}

}  // namespace keel::base
