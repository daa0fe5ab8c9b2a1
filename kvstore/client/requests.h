// Makers of etcd requests: what a person says, in the words of the wire.
//
//   MakeGet("config/", {.range_end = PrefixEnd("config/"), .limit = 10})
//   MakePut("config/a", "1", {.lease = lease_id})
//   TxnBuilder()
//       .If(VersionIs("lock", '=', 0))       // the key does not exist
//       .Then(MakePut("lock", "me"))
//       .Else(MakeGet("lock"))
//       .request()
//
// Requests are plain Protobuf messages; anything not covered here can be set
// on them directly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kvstore/api/rpc.pb.h"

namespace keel::kvstore {

using SortOrder = etcdserverpb::RangeRequest::SortOrder;
using SortTarget = etcdserverpb::RangeRequest::SortTarget;

// The end of the range of all keys that begin with `prefix`: `prefix` with its
// last byte below 0xff incremented and what follows cut off. kAllEnd when there
// is none (the prefix is empty or all 0xff).
std::string PrefixEnd(std::string_view prefix);

// As range_end: every key from the given one on. As both ends: every key.
inline const std::string kAllEnd(1, '\0');

struct GetOptions {
  std::string range_end;  // empty: the one key
  int64_t limit = 0;      // most records to return; 0: all
  int64_t revision = 0;   // read at; 0: the newest
  SortOrder sort_order = etcdserverpb::RangeRequest::NONE;
  SortTarget sort_target = etcdserverpb::RangeRequest::KEY;
  // From the state of whichever member is asked, which may be old: faster, and
  // possible when most of the members are away.
  bool serializable = false;
  bool keys_only = false;
  bool count_only = false;
};
etcdserverpb::RangeRequest MakeGet(std::string_view key, const GetOptions& options = {});

struct PutOptions {
  int64_t lease = 0;          // the key dies with it
  bool prev_kv = false;       // return what was there before
  bool ignore_value = false;  // keep the present value (lease); the key must exist
  bool ignore_lease = false;
};
etcdserverpb::PutRequest MakePut(std::string_view key, std::string_view value,
                                 const PutOptions& options = {});

struct DeleteOptions {
  std::string range_end;
  bool prev_kv = false;
};
etcdserverpb::DeleteRangeRequest MakeDelete(std::string_view key,
                                            const DeleteOptions& options = {});

// Compares for TxnBuilder::If. `op` is one of '=', '!', '<', '>' ('!' being
// "is not"). REQUIRES: one of these.
etcdserverpb::Compare ValueIs(std::string_view key, char op, std::string_view value);
etcdserverpb::Compare VersionIs(std::string_view key, char op, int64_t version);
etcdserverpb::Compare CreateRevisionIs(std::string_view key, char op, int64_t revision);
etcdserverpb::Compare ModRevisionIs(std::string_view key, char op, int64_t revision);
etcdserverpb::Compare LeaseIs(std::string_view key, char op, int64_t lease);

// If every compare holds, does what Then was given, else what Else was given,
// in the order given, atomically and at one revision. No key may be written
// twice.
class TxnBuilder {
 public:
  TxnBuilder& If(etcdserverpb::Compare compare);
  TxnBuilder& Then(etcdserverpb::RangeRequest op);
  TxnBuilder& Then(etcdserverpb::PutRequest op);
  TxnBuilder& Then(etcdserverpb::DeleteRangeRequest op);
  TxnBuilder& Then(etcdserverpb::TxnRequest op);
  TxnBuilder& Else(etcdserverpb::RangeRequest op);
  TxnBuilder& Else(etcdserverpb::PutRequest op);
  TxnBuilder& Else(etcdserverpb::DeleteRangeRequest op);
  TxnBuilder& Else(etcdserverpb::TxnRequest op);

  const etcdserverpb::TxnRequest& request() const { return request_; }

 private:
  etcdserverpb::TxnRequest request_;
};

}  // namespace keel::kvstore
