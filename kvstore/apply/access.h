// What a request needs of its user's rights, piece by piece: asked at the
// server before a request is proposed or read, and again where it is applied.
//
//   std::vector<int64_t> leases;
//   if (!MayTxn(*rights, request, &leases)) return ErrPermissionDenied();
//   // and every key attached to one of `leases` must be writable, too
//
// As in etcd (server/etcdserver/apply/apply_auth.go, with its fixes for nested
// transactions, prev_kv and leases inside of transactions): everything a
// transaction could do is asked for, whichever branch it will take.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "kvstore/api/rpc.pb.h"
#include "kvstore/apply/command.h"
#include "kvstore/auth/key_range_set.h"

namespace keel::kvstore {

bool MayRange(const Rights& rights, const etcdserverpb::RangeRequest& request);
// Appends the lease that the key is to be attached to: who could not delete what is attached to
// it must not attach more. Nothing is appended for root.
bool MayPut(const Rights& rights, const PutView& put, std::vector<int64_t>* leases);
bool MayDeleteRange(const Rights& rights, const etcdserverpb::DeleteRangeRequest& request);
bool MayTxn(const Rights& rights, const etcdserverpb::TxnRequest& request,
            std::vector<int64_t>* leases);

}  // namespace keel::kvstore
