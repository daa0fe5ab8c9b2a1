// What etcd does to the records of a range before it answers: bounds, sorting,
// limit, `more` (server/etcdserver/txn: executeRange). `scan(visit)` walks the
// records in key order until visit returns false, and returns absl::Status.
//
// Once nothing but counting is left, and `count_after` records were counted,
// `count_rest(key, counted)` is asked once for the number of records from that key
// on, `counted` being those before it; it answers StatusOr<optional<int64_t>>, with
// nullopt for "walk".
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "base/status.h"
#include "kvstore/mvcc/read_view.h"

namespace keel::kvstore {

namespace internal {

// A record that outlives the scan.
struct OwnedRecord {
  std::string key;
  std::string value;
  int64_t create_revision, mod_revision, version, lease;

  RecordView view() const { return {key, value, create_revision, mod_revision, version, lease}; }
};

inline bool WithinBounds(const RangeOptions& options, const RecordView& record) {
  return (options.min_mod_revision == 0 || record.mod_revision >= options.min_mod_revision) &&
         (options.max_mod_revision == 0 || record.mod_revision <= options.max_mod_revision) &&
         (options.min_create_revision == 0 ||
          record.create_revision >= options.min_create_revision) &&
         (options.max_create_revision == 0 ||
          record.create_revision <= options.max_create_revision);
}

inline bool Before(RangeOptions::Target target, const OwnedRecord& a, const OwnedRecord& b) {
  switch (target) {
    case RangeOptions::Target::kKey:
      return a.key < b.key;
    case RangeOptions::Target::kVersion:
      return a.version < b.version;
    case RangeOptions::Target::kCreate:
      return a.create_revision < b.create_revision;
    case RangeOptions::Target::kMod:
      return a.mod_revision < b.mod_revision;
    case RangeOptions::Target::kValue:
      return a.value < b.value;
  }
  return false;
}

}  // namespace internal

template <typename Scan, typename CountRest>
absl::StatusOr<RangeResult> ExecuteRange(const RangeOptions& options, Scan&& scan,
                                         int64_t count_after, CountRest&& count_rest,
                                         RecordVisitor visit) {
  using Order = RangeOptions::Order;
  using Target = RangeOptions::Target;
  RangeResult result;
  int64_t only_counted = 0;
  absl::Status rest_status;
  // Whether to go on.
  auto count = [&](const RecordView& record) {
    if (only_counted++ == count_after) {
      absl::StatusOr<std::optional<int64_t>> rest = count_rest(record.key, result.count);
      rest_status = rest.status();
      if (!rest.ok()) return false;
      if (rest->has_value()) {
        result.count += **rest;
        return false;
      }
    }
    ++result.count;
    return true;
  };
  if (options.count_only) {
    KEEL_RETURN_IF_ERROR(scan(count));
    KEEL_RETURN_IF_ERROR(rest_status);
    return result;
  }
  const int64_t limit = options.limit > 0 ? options.limit : INT64_MAX;
  const bool sorted = options.target != Target::kKey || options.order == Order::kDescend;
  auto hand_over = [&](RecordView record) {
    if (options.keys_only) record.value = {};
    visit(record);
  };

  if (!sorted) {
    int64_t passed = 0;
    KEEL_RETURN_IF_ERROR(scan([&](const RecordView& record) {
      if (passed > limit) return count(record);
      ++result.count;
      if (internal::WithinBounds(options, record) && ++passed <= limit) hand_over(record);
      return true;
    }));
    KEEL_RETURN_IF_ERROR(rest_status);
    result.more = passed > limit;
    return result;
  }

  // etcd asks its index for limit + 1 keys, unless an order or a bound is given: a
  // target without an order sorts only those.
  const bool first_only = options.order == Order::kNone && !options.bounded() && options.limit > 0;
  const bool descend = options.order == Order::kDescend;
  std::vector<internal::OwnedRecord> records;
  auto less = [&](const internal::OwnedRecord& a, const internal::OwnedRecord& b) {
    if (internal::Before(options.target, descend ? b : a, descend ? a : b)) return true;
    if (internal::Before(options.target, descend ? a : b, descend ? b : a)) return false;
    return a.key < b.key;  // keys are unique: the order is total
  };
  const bool need_value = !options.keys_only || options.target == Target::kValue;
  int64_t passed = 0;
  // Only the best `limit` are kept; pruned now and then, at linear cost.
  const int64_t keep = std::min(limit, INT64_MAX / 4);
  KEEL_RETURN_IF_ERROR(scan([&](const RecordView& record) {
    if (first_only && passed > limit) return count(record);
    ++result.count;
    if (!internal::WithinBounds(options, record)) return true;
    ++passed;
    records.push_back({std::string(record.key),
                       std::string(need_value ? record.value : std::string_view()),
                       record.create_revision, record.mod_revision, record.version, record.lease});
    if (static_cast<int64_t>(records.size()) > 2 * keep + 1024) {
      std::nth_element(records.begin(), records.begin() + keep, records.end(), less);
      records.resize(static_cast<size_t>(keep));
    }
    return true;
  }));
  KEEL_RETURN_IF_ERROR(rest_status);
  result.more = passed > limit;
  std::sort(records.begin(), records.end(), less);
  if (static_cast<int64_t>(records.size()) > limit) records.resize(static_cast<size_t>(limit));
  for (const internal::OwnedRecord& record : records) hand_over(record.view());
  return result;
}

}  // namespace keel::kvstore
