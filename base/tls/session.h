// The TLS end of one connection: turns bytes of a non-blocking socket into
// what the other side meant, and back. Whoever owns the socket waits for its
// readiness; nothing here blocks or waits.
//
// What is encrypted gathers in a buffer of the session and goes to the socket
// in one write a Flush, however many records it is.
//
// Thread-safety: none. The file descriptor must be open at every call but the
// getters and the destructor.
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/tls/figures.h"
#include "base/tls/options.h"

namespace keel::base {

// An SSL_CTX with what its callbacks look at. Immutable.
struct TlsMaterial {
  TlsMaterial(TlsOptions given, TlsRole as) : options(std::move(given)), role(as) {}
  ~TlsMaterial() { SSL_CTX_free(context); }
  TlsMaterial(const TlsMaterial&) = delete;
  TlsMaterial& operator=(const TlsMaterial&) = delete;

  const TlsOptions options;
  const TlsRole role;
  std::shared_ptr<TlsFigures> figures;  // of the TlsContext
  SSL_CTX* context = nullptr;
};

// Who a certificate says its owner is.
struct TlsSubject {
  std::string common_name;
  std::vector<std::string> organizations;
};

// Names and addresses (as text) of a certificate's SAN.
struct TlsNames {
  std::vector<std::string> names;
  std::vector<std::string> addresses;
};

class TlsSession {
 public:
  // kFailed: the connection is of no further use; error() says why.
  enum class Result { kDone, kWantRead, kWantWrite, kFailed };

  TlsSession(std::shared_ptr<const TlsMaterial> material, int fd, const std::string& host);
  ~TlsSession();

  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Goes on with the handshake; to be called again when the socket is ready as the result asks.
  // When it fails, the other side is told why as far as the socket takes it.
  Result Handshake();

  // As recv(2): the number of bytes read, as many as there are up to `size`; 0 at the end of the
  // stream; -1 with errno: EAGAIN, or another one with error() set.
  ssize_t Read(char* out, size_t size);
  // Whether Read may have more to give although the socket does not become readable for it.
  bool HasPending() const { return !drained_; }

  // REQUIRES: the handshake is done.
  void Encrypt(std::string_view bytes);
  // Writes what was encrypted. Increases `written` by bytes of the socket. kFailed leaves errno.
  Result Flush(size_t* written);
  bool HasUnwritten() const { return unwritten_at_ < unwritten_.size(); }

  // Tells the other side that nothing follows, as far as the socket takes it at once.
  void SayGoodbye();

  // The protocol agreed on; empty: none.
  std::string_view protocol() const;
  // The common name of the other side's certificate, if it showed one that was verified.
  std::optional<std::string> peer_common_name() const;
  // The subject of the other side's certificate, if it showed one that was verified; null else.
  std::shared_ptr<const TlsSubject> peer_subject() const;
  // What the other side's certificate, verified, may be used as; empty when it showed none.
  TlsNames peer_names() const;
  // "tls: certificate has expired".
  const std::string& error() const { return error_; }

 private:
  static int Verify(int ok, X509_STORE_CTX* store);
  friend class TlsContext;
  Result Fail();

  const std::shared_ptr<const TlsMaterial> material_;
  const int fd_;
  std::string host_;  // clients: to be found in the certificate
  SSL* ssl_ = nullptr;
  std::string unwritten_;
  size_t unwritten_at_ = 0;
  bool drained_ = false;
  bool failed_ = false;
  bool handshake_done_ = false;
  std::string verify_error_;
  TlsFailure verify_failure_ = TlsFailure::kOther;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::string error_;
};

// What the other side's certificate may be used as: "DNS:a.example, IP:10.0.0.1".
std::string TlsCertificateNames(X509* certificate);

}  // namespace keel::base
