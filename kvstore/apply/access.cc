#include "kvstore/apply/access.h"

#include <algorithm>

namespace keel::kvstore {

using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;

bool MayRange(const Rights& rights, const etcdserverpb::RangeRequest& request) {
  return rights.CanRead(request.key(), request.range_end());
}

bool MayPut(const Rights& rights, const PutView& put, std::vector<int64_t>* leases) {
  if (rights.root) return true;
  if (!rights.CanWrite(put.key, {})) return false;
  if (put.prev_kv && !rights.CanRead(put.key, {})) return false;
  if (put.lease != 0) leases->push_back(put.lease);
  return true;
}

bool MayDeleteRange(const Rights& rights, const etcdserverpb::DeleteRangeRequest& request) {
  if (!rights.CanWrite(request.key(), request.range_end())) return false;
  return !request.prev_kv() || rights.CanRead(request.key(), request.range_end());
}

bool MayTxn(const Rights& rights, const TxnRequest& request, std::vector<int64_t>* leases) {
  if (rights.root) return true;
  const auto may_compare = [&](const etcdserverpb::Compare& compare) {
    return rights.CanRead(compare.key(), compare.range_end());
  };
  const auto may = [&](const RequestOp& op) {
    switch (op.request_case()) {
      case RequestOp::kRequestRange:
        return MayRange(rights, op.request_range());
      case RequestOp::kRequestPut:
        return MayPut(rights, PutView::Of(op.request_put()), leases);
      case RequestOp::kRequestDeleteRange:
        return MayDeleteRange(rights, op.request_delete_range());
      case RequestOp::kRequestTxn:
        return MayTxn(rights, op.request_txn(), leases);
      case RequestOp::REQUEST_NOT_SET:
        return true;  // refused for what it is
    }
    return false;
  };
  return std::all_of(request.compare().begin(), request.compare().end(), may_compare) &&
         std::all_of(request.success().begin(), request.success().end(), may) &&
         std::all_of(request.failure().begin(), request.failure().end(), may);
}

}  // namespace keel::kvstore
