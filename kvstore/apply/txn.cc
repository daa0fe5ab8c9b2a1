#include "kvstore/apply/txn.h"

#include <string_view>

#include "base/check.h"
#include "base/status.h"
#include "kvstore/apply/read.h"
#include "kvstore/apply/wire.h"
#include "kvstore/mvcc/errors.h"

namespace keel::kvstore {

namespace {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;

int Sign(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

// An operand that is not of the target's kind counts as 0 (empty), as etcd has it.
bool Holds(const Compare& compare, const RecordView& record) {
  int sign = 0;
  switch (compare.target()) {
    case Compare::VALUE: {
      const std::string_view operand = compare.value();
      sign = record.value.compare(operand);
      break;
    }
    case Compare::VERSION:
      sign = Sign(record.version, compare.version());
      break;
    case Compare::CREATE:
      sign = Sign(record.create_revision, compare.create_revision());
      break;
    case Compare::MOD:
      sign = Sign(record.mod_revision, compare.mod_revision());
      break;
    case Compare::LEASE:
      sign = Sign(record.lease, compare.lease());
      break;
    default:
      break;
  }
  switch (compare.result()) {
    case Compare::EQUAL:
      return sign == 0;
    case Compare::NOT_EQUAL:
      return sign != 0;
    case Compare::GREATER:
      return sign > 0;
    case Compare::LESS:
      return sign < 0;
    default:
      return true;
  }
}

absl::StatusOr<bool> Evaluate(RangeFunction range, const Compare& compare) {
  RangeOptions options;
  options.key = compare.key();
  options.range_end = compare.range_end();
  bool any = false, holds = true;
  KEEL_ASSIGN_OR_RETURN(const RangeResult ignored, range(options, [&](const RecordView& record) {
                          any = true;
                          holds = holds && Holds(compare, record);
                        }));
  static_cast<void>(ignored);
  if (any) return holds;
  // A key that does not exist has version, revisions and lease 0, but no value.
  return compare.target() != Compare::VALUE && Holds(compare, RecordView());
}

absl::Status Choose(RangeFunction range, const TxnRequest& request, TxnPath* path) {
  bool success = true;
  for (const Compare& compare : request.compare()) {
    KEEL_ASSIGN_OR_RETURN(success, Evaluate(range, compare));
    if (!success) break;
  }
  path->push_back(success);
  for (const auto& op : success ? request.success() : request.failure()) {
    if (op.has_request_txn()) KEEL_RETURN_IF_ERROR(Choose(range, op.request_txn(), path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TxnPath> ChoosePath(RangeFunction range, const TxnRequest& request) {
  TxnPath path;
  KEEL_RETURN_IF_ERROR(Choose(range, request, &path));
  return path;
}

const google::protobuf::RepeatedPtrField<etcdserverpb::RequestOp>& Branch(const TxnRequest& request,
                                                                          const TxnPath& path,
                                                                          size_t at) {
  KEEL_CHECK(at < path.size());
  return path[at] ? request.success() : request.failure();
}

absl::Status AppendRangeBody(RangeFunction range, const etcdserverpb::RangeRequest& request,
                             std::string* out) {
  KEEL_ASSIGN_OR_RETURN(const RangeResult result,
                        range(ToRangeOptions(request), [out](const RecordView& record) {
                          AppendKeyValue(etcdserverpb::RangeResponse::kKvsFieldNumber, record, out);
                        }));
  AppendRangeResult(result, out);
  return absl::OkStatus();
}

void AppendRangeResult(const RangeResult& result, std::string* out) {
  AppendVarintField(etcdserverpb::RangeResponse::kMoreFieldNumber, result.more ? 1 : 0, out);
  AppendVarintField(etcdserverpb::RangeResponse::kCountFieldNumber,
                    static_cast<uint64_t>(result.count), out);
}

void AppendNestedHeader(int64_t revision, std::string* out) {
  const auto value = static_cast<uint64_t>(revision);
  AppendLength(1, VarintFieldSize(value), out);
  AppendVarintField(etcdserverpb::ResponseHeader::kRevisionFieldNumber, value, out);
}

void AppendResponseOp(ResponseField field, std::string_view response, std::string* out) {
  AppendLength(etcdserverpb::TxnResponse::kResponsesFieldNumber,
               1 + VarintSize(response.size()) + response.size(), out);
  AppendMessage(static_cast<int>(field), response, out);
}

absl::Status CheckRangeRevision(const etcdserverpb::RangeRequest& request, int64_t revision,
                                int64_t compact_revision) {
  if (request.revision() == 0) return absl::OkStatus();
  if (request.revision() > revision) return ErrFutureRevision();
  if (request.revision() < compact_revision) return ErrCompacted();
  return absl::OkStatus();
}

}  // namespace keel::kvstore
