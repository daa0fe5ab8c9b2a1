// TLS for one kind of connection: certificates, key, trust and rules, kept up
// to date with the files they come from.
//
//   KEEL_ASSIGN_OR_RETURN(auto tls, TlsContext::Create(options, TlsRole::kServer));
//   socket.StartTls(tls->NewSession(socket.native_handle(), ""));   // socket.h
//
// Before each new connection the files' times, sizes and inodes are looked at
// (a stat each); when one differs all are read again. Files that then cannot
// be read, or do not fit together, are logged once and the former contents
// stay in use, so that a rotation may replace certificate and key one after
// the other. Connections that are open go on as they were made.
//
// Sessions are not resumed: every connection has its certificates checked.
//
// Thread-safety: every method may be called from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/tls/options.h"
#include "base/tls/session.h"

namespace keel::base {

class TlsContext {
 public:
  // Reads the files. InvalidArgument naming the file or the option that is wrong; NotFound for a
  // file that is missing.
  static absl::StatusOr<std::shared_ptr<TlsContext>> Create(TlsOptions options, TlsRole role);

  // The TLS end of a connection on `fd`, which is non-blocking. Clients: `host` is who was dialled,
  // a name or an address, and must stand in the server's certificate.
  std::unique_ptr<TlsSession> NewSession(int fd, const std::string& host);

  const TlsOptions& options() const { return options_; }
  // How often changed files were taken over.
  const TlsFigures& figures() const { return *figures_; }
  uint64_t reloads() const { return reloads_.load(std::memory_order_relaxed); }

 private:
  struct FileStamp {
    bool there = false;
    int64_t changed_ns = 0;
    uint64_t inode = 0;
    int64_t size = 0;
    bool operator==(const FileStamp&) const = default;
  };

  TlsContext(TlsOptions options, TlsRole role);
  std::vector<FileStamp> Look() const;
  std::shared_ptr<const TlsMaterial> Current();

  const TlsOptions options_;
  const TlsRole role_;
  const std::shared_ptr<TlsFigures> figures_ = std::make_shared<TlsFigures>();
  std::vector<std::string> files_;
  std::atomic<uint64_t> reloads_{0};
  std::mutex mu_;
  std::vector<FileStamp> stamps_;                // guarded by mu_
  std::shared_ptr<const TlsMaterial> material_;  // guarded by mu_
};

}  // namespace keel::base
