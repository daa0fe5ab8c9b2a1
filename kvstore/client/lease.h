// Keeping leases alive in the background. See Client::KeepAlive.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

// The lease was renewed; response.ttl() is what it has now, in seconds.
using OnLeaseRenewed = absl::AnyInvocable<void(const etcdserverpb::LeaseKeepAliveResponse&)>;
// The lease is gone, or must be taken to be: NotFound when a server says so,
// DeadlineExceeded when its time ran out before any server could be reached,
// Cancelled when the client was closed. Nothing follows.
using OnLeaseLost = absl::AnyInvocable<void(const absl::Status& status)>;

// A lease being renewed, three times in its time to live; destroyed: no longer
// (the lease itself lives on until it expires or is revoked). After that no
// callback runs (on another thread than the client's loop the destructor waits
// for one that is running).
class LeaseKeeper {
 public:
  virtual ~LeaseKeeper() = default;
};

}  // namespace keel::kvstore
