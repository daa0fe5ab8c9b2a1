#include "kvstore/apply/check.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "kvstore/mvcc/errors.h"
#include "kvstore/mvcc/scan.h"

namespace keel::kvstore {

namespace {

using etcdserverpb::RequestOp;
using etcdserverpb::TxnRequest;
using Ops = google::protobuf::RepeatedPtrField<RequestOp>;

absl::Status CheckLevel(const TxnRequest& request, int64_t max_ops);

absl::Status CheckOp(const RequestOp& op, int64_t max_ops) {
  switch (op.request_case()) {
    case RequestOp::kRequestRange:
      return CheckRange(op.request_range());
    case RequestOp::kRequestPut:
      return CheckPut(op.request_put());
    case RequestOp::kRequestDeleteRange:
      return CheckDeleteRange(op.request_delete_range());
    case RequestOp::kRequestTxn:
      return CheckLevel(op.request_txn(), max_ops);
    case RequestOp::REQUEST_NOT_SET:
      break;
  }
  return ErrKeyNotFound();
}

// The nested levels get what the outer one leaves of the operations allowed.
absl::Status CheckLevel(const TxnRequest& request, int64_t max_ops) {
  const int64_t ops =
      std::max({request.compare_size(), request.success_size(), request.failure_size()});
  if (ops > max_ops) return ErrTooManyOps();
  for (const auto& compare : request.compare()) {
    if (compare.key().empty()) return ErrEmptyKey();
  }
  for (const auto& op : request.success()) KEEL_RETURN_IF_ERROR(CheckOp(op, max_ops - ops));
  for (const auto& op : request.failure()) KEEL_RETURN_IF_ERROR(CheckOp(op, max_ops - ops));
  return absl::OkStatus();
}

// Keys that some path through a list of operations writes.
struct Writes {
  std::set<std::string_view> puts;
  std::vector<KeyRange> deletes;

  bool Deletes(std::string_view key) const {
    return std::any_of(deletes.begin(), deletes.end(),
                       [&](const KeyRange& range) { return range.Contains(key); });
  }
};

// etcd's checkIntervals: a put may not meet another put or a delete of the same
// path; deletes may meet each other.
absl::Status CollectWrites(const Ops& ops, Writes* writes) {
  for (const RequestOp& op : ops) {
    if (!op.has_request_delete_range()) continue;
    const auto& request = op.request_delete_range();
    writes->deletes.push_back(KeyRange::Of(request.key(), request.range_end()));
  }
  for (const RequestOp& op : ops) {
    if (!op.has_request_txn()) continue;
    Writes success, failure;
    KEEL_RETURN_IF_ERROR(CollectWrites(op.request_txn().success(), &success));
    KEEL_RETURN_IF_ERROR(CollectWrites(op.request_txn().failure(), &failure));
    for (const std::string_view key : success.puts) {
      if (writes->puts.count(key) > 0 || writes->Deletes(key)) return ErrDuplicateKey();
    }
    for (const std::string_view key : failure.puts) {
      if (writes->puts.count(key) > 0 || writes->Deletes(key)) return ErrDuplicateKey();
    }
    // Only one of the two runs, so they may meet each other.
    writes->puts.merge(success.puts);
    writes->puts.merge(failure.puts);
    for (const Writes* nested : {&success, &failure}) {
      writes->deletes.insert(writes->deletes.end(), nested->deletes.begin(), nested->deletes.end());
    }
  }
  for (const RequestOp& op : ops) {
    if (!op.has_request_put()) continue;
    const std::string_view key = op.request_put().key();
    if (writes->Deletes(key) || !writes->puts.insert(key).second) return ErrDuplicateKey();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRange(const etcdserverpb::RangeRequest& request) {
  if (request.key().empty()) return ErrEmptyKey();
  if (!etcdserverpb::RangeRequest::SortOrder_IsValid(request.sort_order()) ||
      !etcdserverpb::RangeRequest::SortTarget_IsValid(request.sort_target())) {
    return ErrInvalidSortOption();
  }
  return absl::OkStatus();
}

absl::Status CheckPut(const etcdserverpb::PutRequest& request) {
  return CheckPut(PutView::Of(request));
}

absl::Status CheckPut(const PutView& put) {
  if (put.key.empty()) return ErrEmptyKey();
  if (put.ignore_value && !put.value.empty()) return ErrValueProvided();
  if (put.ignore_lease && put.lease != 0) return ErrLeaseProvided();
  return absl::OkStatus();
}

absl::Status CheckDeleteRange(const etcdserverpb::DeleteRangeRequest& request) {
  return request.key().empty() ? ErrEmptyKey() : absl::OkStatus();
}

absl::Status CheckTxn(const TxnRequest& request, int64_t max_ops) {
  KEEL_RETURN_IF_ERROR(CheckLevel(request, max_ops > 0 ? max_ops : INT64_MAX));
  return CheckTxnIntervals(request);
}

absl::Status CheckTxnIntervals(const TxnRequest& request) {
  Writes success, failure;
  KEEL_RETURN_IF_ERROR(CollectWrites(request.success(), &success));
  return CollectWrites(request.failure(), &failure);
}

}  // namespace keel::kvstore
