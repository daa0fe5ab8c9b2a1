// Walks over versions of keys: the newest ones (`latest`), or those that were
// visible at a revision (a merge of `latest` and `history`).
//
// A version is visible at revision r if mod <= r < superseded_by; what stands
// in `latest` has not been superseded.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/mvcc/database.h"
#include "kvstore/mvcc/record.h"

namespace keel::kvstore {

// A range of keys by etcd's rules for `range_end`.
struct KeyRange {
  std::string_view begin;
  std::string_view end;    // meaningless when single or unbounded
  bool single = false;     // only `begin`
  bool unbounded = false;  // everything from `begin` on

  static KeyRange Of(std::string_view key, std::string_view range_end) {
    if (range_end.empty()) return {key, {}, true, false};
    if (range_end == std::string_view("\0", 1)) return {key, {}, false, true};
    return {key, range_end, false, false};
  }
  bool empty() const { return !single && !unbounded && end <= begin; }
  bool Contains(std::string_view key) const {
    return single ? key == begin : key >= begin && (unbounded || key < end);
  }
};

absl::Status DamagedRecord(const Database& database, Family family);

// The newest record of `key` into *record, which then points into *value.
absl::StatusOr<bool> GetLatest(const Database& database, const rocksdb::Snapshot* snapshot,
                               std::string_view key, rocksdb::PinnableSlice* value,
                               RecordView* record);

// The version of `key` written at revision `mod`, superseded or not.
absl::StatusOr<bool> GetVersion(const Database& database, const rocksdb::Snapshot* snapshot,
                                std::string_view key, int64_t mod, rocksdb::PinnableSlice* value,
                                RecordView* record);

// Positions on the version visible at one revision, key by key.
class HistoryCursor {
 public:
  HistoryCursor(const Database& database, const rocksdb::Snapshot* snapshot, const KeyRange& range,
                int64_t revision);

  bool valid() const { return valid_; }
  // OK while there is nothing wrong; look once it is no longer valid.
  const absl::Status& status() const { return status_; }
  const RecordView& record() const { return record_; }
  void Next();

 private:
  void Settle();  // moves to the first visible version at or after the iterator's place
  void SkipKey();

  const Database& database_;
  const int64_t revision_;
  std::string upper_;
  rocksdb::Slice upper_slice_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  bool valid_ = false;
  absl::Status status_;
  std::string key_;   // of record_
  std::string seek_;  // scratch
  std::string unescaped_;
  RecordView record_;
};

// A visitor that returns a bool ends the walk with false; one that returns nothing never does.
template <typename Visit>
bool GoOn(Visit& visit, const RecordView& record) {
  if constexpr (std::is_void_v<decltype(visit(record))>) {
    visit(record);
    return true;
  } else {
    return visit(record);
  }
}

// Calls visit(RecordView) for the newest version of each key of the range, in order.
template <typename Visit>
absl::Status ScanLatest(const Database& database, const rocksdb::Snapshot* snapshot,
                        const KeyRange& range, Visit&& visit) {
  if (range.empty()) return absl::OkStatus();
  RecordView record;
  if (range.single) {
    rocksdb::PinnableSlice value;
    KEEL_ASSIGN_OR_RETURN(const bool found,
                          GetLatest(database, snapshot, range.begin, &value, &record));
    if (found) GoOn(visit, record);
    return absl::OkStatus();
  }
  const rocksdb::Slice upper = ToSlice(range.end);
  const auto iterator =
      database.NewIterator(Family::kLatest, snapshot, range.unbounded ? nullptr : &upper);
  for (iterator->Seek(ToSlice(range.begin)); iterator->Valid(); iterator->Next()) {
    record.key = ToView(iterator->key());
    if (!DecodeRecord(ToView(iterator->value()), &record)) {
      return DamagedRecord(database, Family::kLatest);
    }
    if (!GoOn(visit, record)) break;
  }
  return ToStatus(iterator->status(), base::StrCat("read store ", database.path()));
}

// As ScanLatest, of the versions visible at `revision`.
template <typename Visit>
absl::Status ScanAt(const Database& database, const rocksdb::Snapshot* snapshot,
                    const KeyRange& range, int64_t revision, Visit&& visit) {
  if (range.empty()) return absl::OkStatus();
  HistoryCursor history(database, snapshot, range, revision);
  bool go_on = true;
  KEEL_RETURN_IF_ERROR(ScanLatest(database, snapshot, range, [&](const RecordView& newest) {
    if (newest.mod_revision > revision) return true;
    for (; go_on && history.valid() && history.record().key < newest.key; history.Next()) {
      go_on = GoOn(visit, history.record());
    }
    go_on = go_on && GoOn(visit, newest);
    return go_on;
  }));
  for (; go_on && history.valid(); history.Next()) go_on = GoOn(visit, history.record());
  return history.status();
}

}  // namespace keel::kvstore
