#include "kvstore/mvcc/db_view.h"

#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "kvstore/mvcc/coding.h"
#include "kvstore/mvcc/errors.h"
#include "kvstore/mvcc/hash.h"
#include "kvstore/mvcc/range.h"
#include "kvstore/mvcc/scan.h"

namespace keel::kvstore {

namespace {

KeyValue ToKeyValue(const RecordView& record) {
  return {std::string(record.key), std::string(record.value),
          record.create_revision,  record.mod_revision,
          record.version,          record.lease};
}

uint64_t HashRecord(const RecordView& record, int64_t superseded_by) {
  uint64_t hash = StableHash(record.key, 1);
  hash = StableHash(record.value, hash);
  hash = StableHash(static_cast<uint64_t>(record.create_revision), hash);
  hash = StableHash(static_cast<uint64_t>(record.mod_revision), hash);
  hash = StableHash(static_cast<uint64_t>(record.version), hash);
  hash = StableHash(static_cast<uint64_t>(record.lease), hash);
  return StableHash(static_cast<uint64_t>(superseded_by), hash);
}

uint32_t Fold(uint64_t hash) { return static_cast<uint32_t>(hash ^ (hash >> 32)); }

}  // namespace

DbView::DbView(std::shared_ptr<Database> database, int64_t revision, int64_t compact_revision,
               uint64_t applied_index)
    : database_(std::move(database)),
      snapshot_(database_->db()->GetSnapshot()),
      revision_(revision),
      compact_revision_(compact_revision),
      applied_index_(applied_index) {}

DbView::~DbView() { database_->db()->ReleaseSnapshot(snapshot_); }

absl::Status DbView::CheckStillKept(int64_t revision) const {
  return database_->drop_revision() > revision ? ErrCompacted() : absl::OkStatus();
}

absl::StatusOr<RangeResult> DbView::Range(const RangeOptions& options, RecordVisitor visit) const {
  const KeyRange range = KeyRange::Of(options.key, options.range_end);
  if (options.revision > revision_) return ErrFutureRevision();
  const bool present = options.revision <= 0 || options.revision == revision_;
  const int64_t revision = present ? revision_ : options.revision;
  if (revision < compact_revision_) return ErrCompacted();
  CountIndex& counts = database_->counts();
  const std::optional<int64_t> known = range.single ? std::nullopt : counts.Known(range, revision);
  // A page of a list: the first key behind it is remembered with what is left from there on.
  const bool page =
      !range.single && options.limit > 0 && options.target == RangeOptions::Target::kKey &&
      options.order != RangeOptions::Order::kDescend && !options.count_only && !options.bounded();
  std::string next_key;
  int64_t handed = 0;
  const auto hand_over = [&](const RecordView& record) {
    visit(record);
    if (++handed != options.limit) return;
    next_key.reserve(record.key.size() + 1);
    next_key.assign(record.key).push_back('\0');
  };
  bool walks = false;
  auto result = ExecuteRange(
      options,
      [&](auto&& record) {
        return present ? ScanLatest(*database_, snapshot_, range, record)
                       : ScanAt(*database_, snapshot_, range, revision, record);
      },
      known.has_value() ? 0 : counts.options().walk_keys,
      [&](std::string_view key, int64_t counted) -> absl::StatusOr<std::optional<int64_t>> {
        if (known.has_value()) return *known - counted;
        auto rest = CountFrom(key, range, revision);
        walks = rest.ok() && !rest->has_value();
        return rest;
      },
      page ? RecordVisitor(hand_over) : visit);
  if (!present) KEEL_RETURN_IF_ERROR(CheckStillKept(revision));
  if (result.ok() && walks) counts.Walked(result->count);
  if (result.ok() && page && result->more) {
    counts.Remember({next_key, range.end, false, range.unbounded}, revision,
                    result->count - options.limit);
  }
  return result;
}

absl::StatusOr<std::optional<int64_t>> DbView::CountFrom(std::string_view key,
                                                         const KeyRange& range,
                                                         int64_t revision) const {
  if (range.single) return std::optional<int64_t>();
  const KeyRange rest = {key, range.end, false, range.unbounded};
  return database_->counts().Count({*database_, snapshot_, revision_}, rest, revision);
}

absl::StatusOr<std::vector<std::string>> DbView::LeaseKeys(int64_t lease) const {
  std::vector<std::string> keys;
  const std::string prefix = LeaseKey(lease, {});
  const auto iterator = database_->NewIterator(Family::kLeaseKeys, snapshot_, nullptr);
  for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix);
       iterator->Next()) {
    keys.emplace_back(ToView(iterator->key()).substr(prefix.size()));
  }
  KEEL_RETURN_IF_ERROR(
      ToStatus(iterator->status(), base::StrCat("read store ", database_->path())));
  return keys;
}

// A sum, so that neither order nor the place of a version (latest or history)
// has a say. Only versions not superseded by the compact revision count: the
// others may or may not be on disk still.
absl::StatusOr<uint64_t> DbView::HashVersions(int64_t revision, const std::atomic<bool>* cancel,
                                              uint64_t* keys) const {
  const auto cancelled = [cancel] {
    return cancel != nullptr && cancel->load(std::memory_order_relaxed);
  };
  uint64_t latest = 0;
  uint64_t sum = 0;
  RecordView record;
  auto iterator = database_->NewIterator(Family::kLatest, snapshot_, nullptr);
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    record.key = ToView(iterator->key());
    if (!DecodeRecord(ToView(iterator->value()), &record)) {
      return DamagedRecord(*database_, Family::kLatest);
    }
    if (record.mod_revision <= revision) sum += HashRecord(record, 0);
    ++latest;
    if (cancelled()) return absl::CancelledError("the hash is not wanted any more");
  }
  if (keys != nullptr) *keys = latest;
  KEEL_RETURN_IF_ERROR(
      ToStatus(iterator->status(), base::StrCat("read store ", database_->path())));

  std::string buffer;
  iterator = database_->NewIterator(Family::kHistory, snapshot_, nullptr);
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    int64_t mod = 0, superseded_by = 0;
    if (!DecodeHistoryKey(ToView(iterator->key()), &buffer, &record.key, &mod) ||
        !DecodeHistoryRecord(ToView(iterator->value()), &superseded_by, &record)) {
      return DamagedRecord(*database_, Family::kHistory);
    }
    if (mod > revision || superseded_by <= compact_revision_) continue;
    // As it was at `revision`: what superseded it later was not there yet.
    sum += HashRecord(record, superseded_by <= revision ? superseded_by : 0);
    if (cancelled()) return absl::CancelledError("the hash is not wanted any more");
  }
  KEEL_RETURN_IF_ERROR(
      ToStatus(iterator->status(), base::StrCat("read store ", database_->path())));
  return sum;
}

absl::StatusOr<HashResult> DbView::HashKv(int64_t revision) const {
  if (revision <= 0) revision = revision_;
  if (revision > revision_) return ErrFutureRevision();
  if (revision < compact_revision_) return ErrCompacted();
  KEEL_ASSIGN_OR_RETURN(const uint64_t sum, HashVersions(revision));
  // A view from before a compaction cannot be hashed once that has begun to drop.
  KEEL_RETURN_IF_ERROR(CheckStillKept(compact_revision_));
  return HashResult{Fold(sum), revision, compact_revision_};
}

absl::StatusOr<HashResult> DbView::HashAndCount(const std::atomic<bool>& cancel,
                                                uint64_t* keys) const {
  KEEL_ASSIGN_OR_RETURN(const uint64_t sum, HashVersions(revision_, &cancel, keys));
  KEEL_RETURN_IF_ERROR(CheckStillKept(compact_revision_));
  return HashResult{Fold(sum), revision_, compact_revision_};
}

absl::StatusOr<uint32_t> DbView::Hash() const {
  KEEL_ASSIGN_OR_RETURN(uint64_t sum, HashVersions(revision_));
  for (const Family family : {Family::kLease, Family::kLeaseKeys}) {
    const auto iterator = database_->NewIterator(family, snapshot_, nullptr);
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      const uint64_t key = StableHash(ToView(iterator->key()), static_cast<uint64_t>(family));
      sum += StableHash(ToView(iterator->value()), key);
    }
    KEEL_RETURN_IF_ERROR(
        ToStatus(iterator->status(), base::StrCat("read store ", database_->path())));
  }
  KEEL_RETURN_IF_ERROR(CheckStillKept(compact_revision_));
  return Fold(StableHash(sum, static_cast<uint64_t>(revision_)));
}

absl::StatusOr<Event> DbView::LoadEvent(int64_t revision, const EventView& view,
                                        bool prev_kv) const {
  Event event;
  rocksdb::PinnableSlice value;
  RecordView record;
  if (view.is_delete) {
    event.type = Event::Type::kDelete;
    event.kv.key = view.key;
    event.kv.mod_revision = revision;
  } else {
    KEEL_ASSIGN_OR_RETURN(const bool found,
                          GetVersion(*database_, snapshot_, view.key, revision, &value, &record));
    if (!found) {
      KEEL_RETURN_IF_ERROR(CheckStillKept(revision));
      return absl::DataLossError(base::StrCat(
          "store ", database_->path(), ": an event of revision ", revision, " has no record"));
    }
    event.kv = ToKeyValue(record);
  }
  // The version before an event of the compact revision itself is compacted.
  if (prev_kv && view.prev_mod > 0 && revision > compact_revision_) {
    value.Reset();
    KEEL_ASSIGN_OR_RETURN(const bool found, GetVersion(*database_, snapshot_, view.key,
                                                       view.prev_mod, &value, &record));
    if (found) event.prev = std::make_shared<const KeyValue>(ToKeyValue(record));
  }
  return event;
}

absl::StatusOr<ChangeFeed::History> DbView::ReadHistory(
    const ChangeFeed::HistoryOptions& options) const {
  if (options.from_revision < compact_revision_) return ErrCompacted();
  const KeyRange range = KeyRange::Of(options.key, options.range_end);
  ChangeFeed::History history;
  uint64_t bytes = 0, scanned = 0;
  int64_t last = 0;  // revision being read
  char from[kEventKeySize];
  StoreEventKey(options.from_revision, 0, from);
  const auto iterator = database_->NewIterator(Family::kEvents, snapshot_, nullptr);
  for (iterator->Seek(rocksdb::Slice(from, kEventKeySize)); iterator->Valid(); iterator->Next()) {
    EventReader events(ToView(iterator->key()), ToView(iterator->value()));
    while (events.Next()) {
      const int64_t revision = events.revision();
      if (revision < options.from_revision) continue;
      if (revision != last && (bytes >= options.max_bytes || scanned >= options.max_scanned)) {
        KEEL_RETURN_IF_ERROR(CheckStillKept(options.from_revision));
        history.next_revision = revision;
        return history;
      }
      last = revision;
      ++scanned;
      if (!range.Contains(events.event().key)) continue;
      KEEL_ASSIGN_OR_RETURN(Event loaded, LoadEvent(revision, events.event(), options.prev_kv));
      bytes += loaded.kv.key.size() + loaded.kv.value.size();
      if (loaded.prev != nullptr) bytes += loaded.prev->key.size() + loaded.prev->value.size();
      if (history.revisions.empty() || history.revisions.back().revision != revision) {
        history.revisions.push_back({revision, {}});
      }
      history.revisions.back().events.push_back(std::move(loaded));
    }
    if (!events.ok()) return DamagedRecord(*database_, Family::kEvents);
  }
  KEEL_RETURN_IF_ERROR(
      ToStatus(iterator->status(), base::StrCat("read store ", database_->path())));
  KEEL_RETURN_IF_ERROR(CheckStillKept(options.from_revision));
  history.next_revision = revision_ + 1;
  return history;
}

}  // namespace keel::kvstore
