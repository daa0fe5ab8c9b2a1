// What transactions that read and those that write have in common: compares,
// the path they choose, and the encoding of responses.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/mvcc/read_view.h"

namespace keel::kvstore {

// ReadView::Range or Writer::Range.
using RangeFunction =
    absl::FunctionRef<absl::StatusOr<RangeResult>(const RangeOptions&, RecordVisitor)>;

// Which branch each transaction takes, in the order in which they are met:
// all compares see the state before the outermost one.
using TxnPath = std::vector<bool>;
absl::StatusOr<TxnPath> ChoosePath(RangeFunction range, const etcdserverpb::TxnRequest& request);

// The operations of the branch that `path[at]` chooses.
const google::protobuf::RepeatedPtrField<etcdserverpb::RequestOp>& Branch(
    const etcdserverpb::TxnRequest& request, const TxnPath& path, size_t at);

// Appends a RangeResponse without header.
absl::Status AppendRangeBody(RangeFunction range, const etcdserverpb::RangeRequest& request,
                             std::string* out);
// Its last fields: whether there are more, and the count.
void AppendRangeResult(const RangeResult& result, std::string* out);

// The header of a response inside a transaction: only its revision is set.
void AppendNestedHeader(int64_t revision, std::string* out);

// Fields of etcdserverpb.ResponseOp.
enum class ResponseField : uint8_t { kRange = 1, kPut = 2, kDeleteRange = 3, kTxn = 4 };
// Appends one of TxnResponse.responses.
void AppendResponseOp(ResponseField field, std::string_view response, std::string* out);

// etcd's check before a transaction runs: revisions of ranges on the path.
absl::Status CheckRangeRevision(const etcdserverpb::RangeRequest& request, int64_t revision,
                                int64_t compact_revision);

}  // namespace keel::kvstore
