// The TLS contexts of a member, made from its configuration.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/tls/context.h"
#include "kvstore/server/config.h"

namespace keel::kvstore {

struct MemberTls {
  // For https:// URLs of clients, of peers, and for connections to peers; null: there are none, or
  // no certificates for them.
  std::shared_ptr<base::TlsContext> clients;
  std::shared_ptr<base::TlsContext> peers;
  std::shared_ptr<base::TlsContext> to_peers;
};

// Reads the certificates; makes those of --auto-tls and --peer-auto-tls in DATA-DIR/fixtures, as
// etcd does. Logs what is given and has no effect. Errors name the file or the flag.
absl::StatusOr<MemberTls> MakeMemberTls(const ServerConfig& config);

// keel_tls_*: the handshakes of clients, of peers that call, and with peers that are called.
void AppendTlsMetrics(const MemberTls& tls, std::string* out);

}  // namespace keel::kvstore
