// Requests that only read, executed on a view and encoded straight into the
// bytes of their response.
//
//   std::string response = EncodeHeader(view->revision(), ...);   // field 1
//   KEEL_RETURN_IF_ERROR(AppendRange(*view, request, &response)); // the others
//
// Thread-safety: as ReadView. On an error *out may hold part of an answer.
#pragma once

#include <cstddef>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "kvstore/api/rpc.pb.h"
#include "kvstore/mvcc/read_view.h"

namespace keel::kvstore {

// The options point into the request.
RangeOptions ToRangeOptions(const etcdserverpb::RangeRequest& request);

// Appends all fields of the RangeResponse but the header.
absl::Status AppendRange(const ReadView& view, const etcdserverpb::RangeRequest& request,
                         std::string* out);
// The same in pieces: after each key-value with which *out has reached `piece_bytes`, calls
// `full`, which may take what is in *out.
absl::Status AppendRange(const ReadView& view, const etcdserverpb::RangeRequest& request,
                         size_t piece_bytes, absl::FunctionRef<void()> full, std::string* out);

// Whether no operation of the transaction, nor of those nested in it, writes.
bool IsReadOnly(const etcdserverpb::TxnRequest& request);
// Whether all its ranges are serializable (and it is read-only).
bool IsSerializable(const etcdserverpb::TxnRequest& request);

// Appends all fields of the TxnResponse but the header.
// REQUIRES: IsReadOnly(request), CheckTxn passed.
absl::Status AppendReadTxn(const ReadView& view, const etcdserverpb::TxnRequest& request,
                           std::string* out);

// Appends one RangeResponse/TxnResponse-style `kvs` entry: field number, length, mvccpb.KeyValue.
void AppendKeyValue(int field, const RecordView& record, std::string* out);

}  // namespace keel::kvstore
