// The server's /metrics: what it counts itself, and what it asks the others for.
//
// Thread-safety: counters from any thread; the lists are set up before anything runs.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
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

  // Of each batch that was applied.
  void Applied(const ApplyFigures& figures);
  // Regularly, on the loop: looks at the peers' round trip times.
  void Tick();
  // Of one check of /health, /livez or /readyz (type "livez", name "serializable_read").
  void CountHealth(bool healthy);
  void CountCheck(const std::string& type, const std::string& name, bool passed);

  Histogram wal_fsync;
  Histogram backend_commit;
  std::atomic<uint64_t> puts{0};
  std::atomic<uint64_t> deletes{0};
  std::atomic<uint64_t> txns{0};
  std::atomic<uint64_t> slow_applies{0};
  std::atomic<uint64_t> leader_changes{0};
  std::atomic<uint64_t> leases_granted{0};
  std::atomic<uint64_t> leases_revoked{0};
  std::atomic<uint64_t> lease_expired{0};
  std::atomic<uint64_t> leases_renewed{0};
  std::function<uint64_t()> slow_reads;
  std::function<uint64_t()> failed_read_indexes;

 private:
  void AppendServer(std::string* out) const;
  void AppendRpc(std::string* out) const;
  void AppendPeers(std::string* out) const;
  void AppendHealth(std::string* out) const;

  struct CheckCounts {
    bool passed = false;  // the last time
    uint64_t passes = 0;
    uint64_t failures = 0;
  };
  struct RoundTrips {
    Histogram histogram{std::chrono::microseconds(100)};
    uint64_t seen = 0;
  };
  mutable std::mutex mu_;
  std::map<std::pair<std::string, std::string>, CheckCounts> checks_;  // guarded by mu_
  uint64_t healthy_ = 0;                                               // guarded by mu_
  uint64_t unhealthy_ = 0;                                             // guarded by mu_
  std::map<raft::NodeId, RoundTrips> round_trips_;                     // guarded by mu_
};

}  // namespace keel::kvstore
