// The whole store at one moment: every read runs on a view, so that the
// revision in a response's header and its data agree.
//
//   std::shared_ptr<const ReadView> view = state_machine.view();
//   RangeOptions options;
//   options.key = "a"; options.range_end = "b"; options.limit = 10;
//   auto result = view->Range(options, [&](const RecordView& record) { ... });
//   header.set_revision(view->revision());
//
// Thread-safety: any number of threads. All methods may block on the disk.
// Lifetime: a view pins one RocksDB snapshot: cheap, but not to be kept for
// minutes. It outlives a snapshot restore and the state machine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kvstore/mvcc/record.h"

namespace keel::kvstore {

// What etcdserverpb.RangeRequest says, with its defaults and meanings.
struct RangeOptions {
  enum class Order : uint8_t { kNone = 0, kAscend = 1, kDescend = 2 };
  enum class Target : uint8_t { kKey = 0, kVersion = 1, kCreate = 2, kMod = 3, kValue = 4 };

  std::string_view key;
  // Empty: the one key. "\0": all keys >= key. Else [key, range_end).
  std::string_view range_end;
  int64_t limit = 0;     // <= 0: none
  int64_t revision = 0;  // <= 0: the view's
  Order order = Order::kNone;
  Target target = Target::kKey;
  bool keys_only = false;   // records are handed over with an empty value
  bool count_only = false;  // no records are handed over
  // Inclusive; 0: no bound. They do not change `count`.
  int64_t min_mod_revision = 0;
  int64_t max_mod_revision = 0;
  int64_t min_create_revision = 0;
  int64_t max_create_revision = 0;

  bool bounded() const {
    return min_mod_revision != 0 || max_mod_revision != 0 || min_create_revision != 0 ||
           max_create_revision != 0;
  }
};

struct RangeResult {
  int64_t count = 0;  // keys in the range, before limit and bounds
  bool more = false;  // the limit cut records off
};

struct HashResult {
  uint32_t hash = 0;
  int64_t revision = 0;
  int64_t compact_revision = 0;
};

class ReadView {
 public:
  virtual ~ReadView() = default;

  virtual int64_t revision() const = 0;
  // -1 before the first compaction.
  virtual int64_t compact_revision() const = 0;
  // The last log entry whose effects the view holds.
  virtual uint64_t applied_index() const = 0;

  // Hands the records over in the order asked for. Errors: OutOfRange
  // (etcd's texts) for a compacted or future revision, DataLoss for a damaged
  // disk; then some records may have been handed over already.
  virtual absl::StatusOr<RangeResult> Range(const RangeOptions& options,
                                            RecordVisitor visit) const = 0;

  // Keys attached to a lease, in order.
  virtual absl::StatusOr<std::vector<std::string>> LeaseKeys(int64_t lease) const = 0;

  // A hash of every version above the compact revision and up to `revision`
  // (<= 0: the view's): equal on members that agree on both revisions, however
  // far either has removed what was compacted. Reads everything.
  virtual absl::StatusOr<HashResult> HashKv(int64_t revision) const = 0;
  // The same over all that is kept now, leases included.
  virtual absl::StatusOr<uint32_t> Hash() const = 0;
};

}  // namespace keel::kvstore
