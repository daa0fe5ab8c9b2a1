// The recipes' view of the store in the same process (kvstore/client/concurrency.h),
// and leases kept alive beside them.
//
// Thread-safety: the channel's loop. Lifetime: the channel outlives it.
#pragma once

#include <memory>

#include "base/loop.h"
#include "kvstore/client/concurrency.h"
#include "rpc/local_channel.h"
#include "rpc/server_call.h"

namespace keel::kvstore {

class LocalConcurrencyStore final : public ConcurrencyStore {
 public:
  // Speaks with the identity that the caller showed: its token.
  LocalConcurrencyStore(rpc::LocalChannel* channel, const rpc::ServerCall& caller);

  void Range(const etcdserverpb::RangeRequest& request,
             Done<etcdserverpb::RangeResponse> done) override;
  void Txn(const etcdserverpb::TxnRequest& request, Done<etcdserverpb::TxnResponse> done) override;
  std::unique_ptr<Watching> Watch(const etcdserverpb::WatchCreateRequest& request,
                                  WatchEvents events) override;

  void DeleteRange(const etcdserverpb::DeleteRangeRequest& request,
                   Done<etcdserverpb::DeleteRangeResponse> done);
  void Grant(int64_t ttl_seconds, Done<etcdserverpb::LeaseGrantResponse> done);

 private:
  template <typename Request, typename Response>
  void Call(std::string_view path, const Request& request, Done<Response> done);

  rpc::LocalChannel* const channel_;
  rpc::LocalMetadata metadata_;
};

// Renews a lease, three times in its time to live, until it is destroyed or the lease is gone.
class LocalLeaseKeeper {
 public:
  // In the name of `caller`, as LocalConcurrencyStore.
  LocalLeaseKeeper(rpc::LocalChannel* channel, base::Loop* loop, int64_t lease,
                   const rpc::ServerCall& caller);
  ~LocalLeaseKeeper();

 private:
  void Renew();
  void OnRenewed(std::string_view message);

  base::Loop* const loop_;
  const int64_t lease_;
  base::TimerId timer_ = 0;
  std::unique_ptr<rpc::LocalStream> stream_;
};

}  // namespace keel::kvstore
