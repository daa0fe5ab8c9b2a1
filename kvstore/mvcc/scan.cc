#include "kvstore/mvcc/scan.h"

#include "base/check.h"

namespace keel::kvstore {

namespace {
// Versions to step over before a seek is the cheaper way.
constexpr int kStepsBeforeSeek = 8;
}  // namespace

absl::Status DamagedRecord(const Database& database, Family family) {
  return absl::DataLossError(base::StrCat("store ", database.path(), ": damaged record in family ",
                                          database.family(family)->GetName()));
}

absl::StatusOr<bool> GetLatest(const Database& database, const rocksdb::Snapshot* snapshot,
                               std::string_view key, rocksdb::PinnableSlice* value,
                               RecordView* record) {
  KEEL_ASSIGN_OR_RETURN(const bool found, database.Get(Family::kLatest, snapshot, key, value));
  if (!found) return false;
  record->key = key;
  if (!DecodeRecord(ToView(*value), record)) return DamagedRecord(database, Family::kLatest);
  return true;
}

absl::StatusOr<bool> GetVersion(const Database& database, const rocksdb::Snapshot* snapshot,
                                std::string_view key, int64_t mod, rocksdb::PinnableSlice* value,
                                RecordView* record) {
  KEEL_ASSIGN_OR_RETURN(bool found, GetLatest(database, snapshot, key, value, record));
  if (found && record->mod_revision == mod) return true;
  std::string history_key;
  history_key.reserve(key.size() + 10);
  AppendHistoryKey(key, mod, &history_key);
  value->Reset();
  KEEL_ASSIGN_OR_RETURN(found, database.Get(Family::kHistory, snapshot, history_key, value));
  if (!found) return false;
  int64_t superseded_by = 0;
  record->key = key;
  if (!DecodeHistoryRecord(ToView(*value), &superseded_by, record) || record->mod_revision != mod) {
    return DamagedRecord(database, Family::kHistory);
  }
  return true;
}

HistoryCursor::HistoryCursor(const Database& database, const rocksdb::Snapshot* snapshot,
                             const KeyRange& range, int64_t revision)
    : database_(database), revision_(revision) {
  if (range.empty()) return;
  std::string lower;
  AppendEscaped(range.begin, &lower);
  if (range.single) {
    upper_ = lower;
    upper_.append("\0\x02", 2);  // behind the terminator: only this very key
    lower.append("\0\x01", 2);
    // Newer versions stand first: begin behind them.
    AppendBig64(~static_cast<uint64_t>(revision), &lower);
  } else if (!range.unbounded) {
    AppendEscaped(range.end, &upper_);
  }
  upper_slice_ = upper_;
  iterator_ = database.NewIterator(Family::kHistory, snapshot,
                                   range.unbounded && !range.single ? nullptr : &upper_slice_);
  iterator_->Seek(lower);
  Settle();
}

void HistoryCursor::Next() {
  KEEL_CHECK(valid_);
  SkipKey();
  Settle();
}

void HistoryCursor::SkipKey() {
  // seek_ becomes the bound behind all versions of key_.
  seek_.clear();
  AppendEscaped(key_, &seek_);
  seek_.append("\0\x02", 2);
  for (int step = 0; step < kStepsBeforeSeek; ++step) {
    iterator_->Next();
    if (!iterator_->Valid() || ToView(iterator_->key()) >= std::string_view(seek_)) return;
  }
  iterator_->Seek(seek_);
}

void HistoryCursor::Settle() {
  valid_ = false;
  int newer = 0;  // versions above the revision seen in a row
  while (iterator_->Valid()) {
    std::string_view key;
    int64_t mod = 0;
    if (!DecodeHistoryKey(ToView(iterator_->key()), &unescaped_, &key, &mod)) {
      status_ = DamagedRecord(database_, Family::kHistory);
      return;
    }
    if (mod > revision_) {
      if (++newer > kStepsBeforeSeek) {
        seek_.clear();
        AppendHistoryKey(key, revision_, &seek_);
        iterator_->Seek(seek_);
        newer = 0;
      } else {
        iterator_->Next();
      }
      continue;
    }
    newer = 0;
    int64_t superseded_by = 0;
    key_.assign(key);
    if (!DecodeHistoryRecord(ToView(iterator_->value()), &superseded_by, &record_) ||
        record_.mod_revision != mod) {
      status_ = DamagedRecord(database_, Family::kHistory);
      return;
    }
    if (revision_ < superseded_by) {
      record_.key = key_;
      valid_ = true;
      return;
    }
    // The newest version at or below the revision was superseded by then: so were all older ones.
    SkipKey();
  }
  status_ = ToStatus(iterator_->status(), base::StrCat("read store ", database_.path()));
}

}  // namespace keel::kvstore
