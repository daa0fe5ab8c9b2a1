#include "kvstore/client/requests.h"

#include <utility>

#include "base/check.h"

namespace keel::kvstore {
namespace {

using etcdserverpb::Compare;

Compare MakeCompare(std::string_view key, char op, Compare::CompareTarget target) {
  Compare compare;
  compare.set_key(key.data(), key.size());
  compare.set_target(target);
  switch (op) {
    case '=':
      compare.set_result(Compare::EQUAL);
      break;
    case '!':
      compare.set_result(Compare::NOT_EQUAL);
      break;
    case '<':
      compare.set_result(Compare::LESS);
      break;
    case '>':
      compare.set_result(Compare::GREATER);
      break;
    default:
      KEEL_CHECK(false, "unknown compare operator ", std::string_view(&op, 1));
  }
  return compare;
}

void Set(etcdserverpb::RequestOp* op, etcdserverpb::RangeRequest&& request) {
  *op->mutable_request_range() = std::move(request);
}
void Set(etcdserverpb::RequestOp* op, etcdserverpb::PutRequest&& request) {
  *op->mutable_request_put() = std::move(request);
}
void Set(etcdserverpb::RequestOp* op, etcdserverpb::DeleteRangeRequest&& request) {
  *op->mutable_request_delete_range() = std::move(request);
}
void Set(etcdserverpb::RequestOp* op, etcdserverpb::TxnRequest&& request) {
  *op->mutable_request_txn() = std::move(request);
}

}  // namespace

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty()) {
    if (static_cast<unsigned char>(end.back()) < 0xff) {
      ++end.back();
      return end;
    }
    end.pop_back();
  }
  return kAllEnd;
}

etcdserverpb::RangeRequest MakeGet(std::string_view key, const GetOptions& options) {
  etcdserverpb::RangeRequest request;
  request.set_key(key.data(), key.size());
  request.set_range_end(options.range_end);
  request.set_limit(options.limit);
  request.set_revision(options.revision);
  request.set_sort_order(options.sort_order);
  request.set_sort_target(options.sort_target);
  request.set_serializable(options.serializable);
  request.set_keys_only(options.keys_only);
  request.set_count_only(options.count_only);
  return request;
}

etcdserverpb::PutRequest MakePut(std::string_view key, std::string_view value,
                                 const PutOptions& options) {
  etcdserverpb::PutRequest request;
  request.set_key(key.data(), key.size());
  request.set_value(value.data(), value.size());
  request.set_lease(options.lease);
  request.set_prev_kv(options.prev_kv);
  request.set_ignore_value(options.ignore_value);
  request.set_ignore_lease(options.ignore_lease);
  return request;
}

etcdserverpb::DeleteRangeRequest MakeDelete(std::string_view key, const DeleteOptions& options) {
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(key.data(), key.size());
  request.set_range_end(options.range_end);
  request.set_prev_kv(options.prev_kv);
  return request;
}

Compare ValueIs(std::string_view key, char op, std::string_view value) {
  Compare compare = MakeCompare(key, op, Compare::VALUE);
  compare.set_value(value.data(), value.size());
  return compare;
}

Compare VersionIs(std::string_view key, char op, int64_t version) {
  Compare compare = MakeCompare(key, op, Compare::VERSION);
  compare.set_version(version);
  return compare;
}

Compare CreateRevisionIs(std::string_view key, char op, int64_t revision) {
  Compare compare = MakeCompare(key, op, Compare::CREATE);
  compare.set_create_revision(revision);
  return compare;
}

Compare ModRevisionIs(std::string_view key, char op, int64_t revision) {
  Compare compare = MakeCompare(key, op, Compare::MOD);
  compare.set_mod_revision(revision);
  return compare;
}

Compare LeaseIs(std::string_view key, char op, int64_t lease) {
  Compare compare = MakeCompare(key, op, Compare::LEASE);
  compare.set_lease(lease);
  return compare;
}

TxnBuilder& TxnBuilder::If(Compare compare) {
  *request_.add_compare() = std::move(compare);
  return *this;
}
TxnBuilder& TxnBuilder::Then(etcdserverpb::RangeRequest op) {
  Set(request_.add_success(), std::move(op));
  return *this;
}
TxnBuilder& TxnBuilder::Then(etcdserverpb::PutRequest op) {
  Set(request_.add_success(), std::move(op));
  return *this;
}
TxnBuilder& TxnBuilder::Then(etcdserverpb::DeleteRangeRequest op) {
  Set(request_.add_success(), std::move(op));
  return *this;
}
TxnBuilder& TxnBuilder::Then(etcdserverpb::TxnRequest op) {
  Set(request_.add_success(), std::move(op));
  return *this;
}
TxnBuilder& TxnBuilder::Else(etcdserverpb::RangeRequest op) {
  Set(request_.add_failure(), std::move(op));
  return *this;
}
TxnBuilder& TxnBuilder::Else(etcdserverpb::PutRequest op) {
  Set(request_.add_failure(), std::move(op));
  return *this;
}
TxnBuilder& TxnBuilder::Else(etcdserverpb::DeleteRangeRequest op) {
  Set(request_.add_failure(), std::move(op));
  return *this;
}
TxnBuilder& TxnBuilder::Else(etcdserverpb::TxnRequest op) {
  Set(request_.add_failure(), std::move(op));
  return *this;
}

}  // namespace keel::kvstore
