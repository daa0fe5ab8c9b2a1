// v3lockpb.Lock and v3electionpb.Election: locks and elections for clients that
// would rather ask than follow the recipe (kvstore/client/concurrency.h) themselves.
//
// As in etcd these services are clients of the store they are part of: what
// they do goes through the same doors as the requests of the caller, in its name.
//
// While a caller waits its lease is renewed for it; once it has the lock, or
// leads, that is its own business. A caller that goes away while it waits
// leaves the queue.
//
// Threads: handlers may run on any loop; the work is done on one.
// Lifetime: destroyed on its loop, after the server has stopped and before it goes.
#pragma once

#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "base/loop.h"
#include "kvstore/client/concurrency.h"
#include "rpc/local_channel.h"
#include "rpc/server.h"

namespace keel::kvstore {

class ConcurrencyService {
 public:
  // `server` serves KV, Lease and Watch, or will before the first call. Registers itself with
  // it. REQUIRES: the server does not listen yet.
  ConcurrencyService(rpc::Server* server, base::Loop* loop);
  ~ConcurrencyService();

  ConcurrencyService(const ConcurrencyService&) = delete;
  ConcurrencyService& operator=(const ConcurrencyService&) = delete;

 private:
  struct Waiter;
  class Observer;
  using Answer = std::string (*)(const std::string& name, int64_t lease, const Place& place);

  void Lock(rpc::ServerCallPtr call);
  void Unlock(rpc::ServerCallPtr call);
  void Campaign(rpc::ServerCallPtr call);
  void Proclaim(rpc::ServerCallPtr call);
  void Leader(rpc::ServerCallPtr call);
  void Resign(rpc::ServerCallPtr call);

  // Waits for a turn; grants a lease first when the caller brought none.
  void Enter(rpc::ServerCallPtr call, std::string name, int64_t lease, std::string value,
             Answer answer);
  void Wait(rpc::ServerCallPtr call, std::string name, int64_t lease, std::string value,
            Answer answer);

  base::Loop* const loop_;
  rpc::LocalChannel channel_;
  absl::flat_hash_set<std::shared_ptr<Waiter>> waiters_;  // loop_ only
};

}  // namespace keel::kvstore
