// The server's /metrics: what it counts itself, and what it asks the others for.
//
// Thread-safety: counters from any thread; the lists are set up before anything runs.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "kvstore/server/context.h"
#include "kvstore/server/metrics.h"
#include "kvstore/server/proposals.h"
#include "rpc/server.h"

namespace keel::kvstore {

struct ServerMetrics {
  ServerMetrics(const ServerContext* server_context, const Proposals* server_proposals)
      : context(server_context), proposals(server_proposals) {}

  std::string Exposition() const;

  const ServerContext* const context;
  const Proposals* const proposals;
  std::vector<rpc::Server*> rpc_servers;
  std::vector<std::function<void(std::string* out)>> more;

  Histogram wal_fsync;
  std::atomic<uint64_t> leader_changes{0};
  std::atomic<uint64_t> leases_granted{0};
  std::atomic<uint64_t> leases_revoked{0};
  std::atomic<uint64_t> lease_expired{0};
  std::atomic<uint64_t> leases_renewed{0};
  std::function<uint64_t()> slow_reads;

 private:
  void AppendServer(std::string* out) const;
  void AppendRpc(std::string* out) const;
};

}  // namespace keel::kvstore
