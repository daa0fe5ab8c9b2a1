// The rules for requests that need no state: etcd's checks before a request
// is proposed (server/etcdserver/api/v3rpc/key.go). The server applies them to
// spare the log; apply does again, since what stands in the log was another
// member's to check.
//
// Pure functions; the errors are etcd's.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/apply/command.h"

namespace keel::kvstore {

absl::Status CheckRange(const etcdserverpb::RangeRequest& request);
absl::Status CheckPut(const etcdserverpb::PutRequest& request);
absl::Status CheckPut(const PutView& put);
absl::Status CheckDeleteRange(const etcdserverpb::DeleteRangeRequest& request);

// `max_ops` bounds compares and operations of each level; 0: no bound. Includes
// CheckTxnIntervals.
absl::Status CheckTxn(const etcdserverpb::TxnRequest& request, int64_t max_ops);

// No key may be written twice on one path through a transaction.
absl::Status CheckTxnIntervals(const etcdserverpb::TxnRequest& request);

}  // namespace keel::kvstore
