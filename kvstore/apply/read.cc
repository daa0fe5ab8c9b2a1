#include "kvstore/apply/read.h"

#include "base/check.h"
#include "base/status.h"
#include "kvstore/apply/txn.h"
#include "kvstore/apply/wire.h"

namespace keel::kvstore {

namespace {

using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

class ReadTxn {
 public:
  explicit ReadTxn(const ReadView& view) : view_(view) {}

  absl::Status Run(const TxnRequest& request, std::string* out) {
    KEEL_ASSIGN_OR_RETURN(path_, ChoosePath(range(), request));
    KEEL_RETURN_IF_ERROR(CheckRevisions(request));
    next_ = 0;
    return Execute(request, out);
  }

 private:
  struct RangeCall {
    const ReadView& view;
    absl::StatusOr<RangeResult> operator()(const RangeOptions& options, RecordVisitor visit) const {
      return view.Range(options, visit);
    }
  };
  RangeFunction range() const { return range_call_; }

  absl::Status CheckRevisions(const TxnRequest& request) {
    for (const auto& op : Branch(request, path_, next_++)) {
      if (op.has_request_txn()) {
        KEEL_RETURN_IF_ERROR(CheckRevisions(op.request_txn()));
      } else if (op.has_request_range()) {
        KEEL_RETURN_IF_ERROR(
            CheckRangeRevision(op.request_range(), view_.revision(), view_.compact_revision()));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Execute(const TxnRequest& request, std::string* out) {
    const size_t at = next_++;
    const auto& ops = Branch(request, path_, at);
    AppendVarintField(TxnResponse::kSucceededFieldNumber, path_[at] ? 1 : 0, out);
    for (const auto& op : ops) {
      std::string response;
      if (op.has_request_txn()) {
        AppendNestedHeader(0, &response);
        KEEL_RETURN_IF_ERROR(Execute(op.request_txn(), &response));
        AppendResponseOp(ResponseField::kTxn, response, out);
      } else {
        KEEL_CHECK(op.has_request_range());
        AppendNestedHeader(view_.revision(), &response);
        KEEL_RETURN_IF_ERROR(AppendRangeBody(range(), op.request_range(), &response));
        AppendResponseOp(ResponseField::kRange, response, out);
      }
    }
    return absl::OkStatus();
  }

  const ReadView& view_;
  const RangeCall range_call_{view_};
  TxnPath path_;
  size_t next_ = 0;
};

template <typename Test>
bool AllOps(const TxnRequest& request, const Test& test) {
  for (const auto* ops : {&request.success(), &request.failure()}) {
    for (const auto& op : *ops) {
      if (op.has_request_txn() ? !AllOps(op.request_txn(), test) : !test(op)) return false;
    }
  }
  return true;
}

}  // namespace

RangeOptions ToRangeOptions(const etcdserverpb::RangeRequest& request) {
  RangeOptions options;
  options.key = request.key();
  options.range_end = request.range_end();
  options.limit = request.limit();
  options.revision = request.revision();
  options.order = static_cast<RangeOptions::Order>(request.sort_order());
  options.target = static_cast<RangeOptions::Target>(request.sort_target());
  options.keys_only = request.keys_only();
  options.count_only = request.count_only();
  options.min_mod_revision = request.min_mod_revision();
  options.max_mod_revision = request.max_mod_revision();
  options.min_create_revision = request.min_create_revision();
  options.max_create_revision = request.max_create_revision();
  return options;
}

absl::Status AppendRange(const ReadView& view, const etcdserverpb::RangeRequest& request,
                         std::string* out) {
  return AppendRangeBody([&view](const RangeOptions& options,
                                 RecordVisitor visit) { return view.Range(options, visit); },
                         request, out);
}

absl::Status AppendRange(const ReadView& view, const etcdserverpb::RangeRequest& request,
                         size_t piece_bytes, absl::FunctionRef<void()> full, std::string* out) {
  KEEL_ASSIGN_OR_RETURN(const RangeResult result,
                        view.Range(ToRangeOptions(request), [&](const RecordView& record) {
                          AppendKeyValue(etcdserverpb::RangeResponse::kKvsFieldNumber, record, out);
                          if (out->size() >= piece_bytes) full();
                        }));
  AppendRangeResult(result, out);
  return absl::OkStatus();
}

bool IsReadOnly(const TxnRequest& request) {
  return AllOps(request, [](const auto& op) { return op.has_request_range(); });
}

bool IsSerializable(const TxnRequest& request) {
  return AllOps(request, [](const auto& op) {
    return op.has_request_range() && op.request_range().serializable();
  });
}

absl::Status AppendReadTxn(const ReadView& view, const TxnRequest& request, std::string* out) {
  return ReadTxn(view).Run(request, out);
}

void AppendKeyValue(int field, const RecordView& record, std::string* out) {
  const auto create = static_cast<uint64_t>(record.create_revision);
  const auto mod = static_cast<uint64_t>(record.mod_revision);
  const auto version = static_cast<uint64_t>(record.version);
  const auto lease = static_cast<uint64_t>(record.lease);
  auto bytes_size = [](std::string_view bytes) {
    return bytes.empty() ? 0 : 1 + VarintSize(bytes.size()) + bytes.size();
  };
  // What stands between the bytes is put together first: each append to a string has its price.
  char buffer[64];  // the longest part: five tags with their varints, 11 bytes each
  size_t size = 0;
  const auto varint = [&](uint64_t value) {
    for (; value >= 0x80; value >>= 7) buffer[size++] = static_cast<char>(value | 0x80);
    buffer[size++] = static_cast<char>(value);
  };
  const auto number = [&](int number_field, uint64_t value) {
    if (value == 0) return;
    varint(static_cast<uint64_t>(number_field) << 3);
    varint(value);
  };
  const auto length = [&](int bytes_field, uint64_t bytes) {
    varint(static_cast<uint64_t>(bytes_field) << 3 | static_cast<uint64_t>(WireType::kBytes));
    varint(bytes);
  };
  const auto put_down = [&] {
    out->append(buffer, size);
    size = 0;
  };
  length(field, bytes_size(record.key) + VarintFieldSize(create) + VarintFieldSize(mod) +
                    VarintFieldSize(version) + bytes_size(record.value) + VarintFieldSize(lease));
  if (!record.key.empty()) {
    length(mvccpb::KeyValue::kKeyFieldNumber, record.key.size());
    put_down();
    out->append(record.key);
  }
  number(mvccpb::KeyValue::kCreateRevisionFieldNumber, create);
  number(mvccpb::KeyValue::kModRevisionFieldNumber, mod);
  number(mvccpb::KeyValue::kVersionFieldNumber, version);
  if (!record.value.empty()) {
    length(mvccpb::KeyValue::kValueFieldNumber, record.value.size());
    put_down();
    out->append(record.value);
  }
  number(mvccpb::KeyValue::kLeaseFieldNumber, lease);
  if (size > 0) put_down();
}

}  // namespace keel::kvstore
