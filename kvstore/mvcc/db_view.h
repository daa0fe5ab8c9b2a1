// ReadView on a RocksDB snapshot, and what the store itself reads besides.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvstore/feed.h"
#include "kvstore/mvcc/database.h"
#include "kvstore/mvcc/read_view.h"

namespace keel::kvstore {

class DbView : public ReadView {
 public:
  // Takes a snapshot of what `database` holds now. REQUIRES: no write in between
  // that and the state the revisions describe (the apply loop makes views).
  DbView(std::shared_ptr<Database> database, int64_t revision, int64_t compact_revision,
         uint64_t applied_index);
  ~DbView() override;

  int64_t revision() const override { return revision_; }
  int64_t compact_revision() const override { return compact_revision_; }
  uint64_t applied_index() const override { return applied_index_; }

  absl::StatusOr<RangeResult> Range(const RangeOptions& options,
                                    RecordVisitor visit) const override;
  absl::StatusOr<std::vector<std::string>> LeaseKeys(int64_t lease) const override;
  absl::StatusOr<HashResult> HashKv(int64_t revision) const override;
  absl::StatusOr<uint32_t> Hash() const override;
  // HashKv of the present, counting the keys that exist on the way. Cancelled when `cancel` becomes
  // true meanwhile.
  absl::StatusOr<HashResult> HashAndCount(const std::atomic<bool>& cancel, uint64_t* keys) const;

  // ChangeFeed::ReadHistory, up to this view's revision.
  absl::StatusOr<ChangeFeed::History> ReadHistory(const ChangeFeed::HistoryOptions& options) const;

 private:
  // The compaction filter runs regardless of snapshots: a read of the past is
  // good only if nothing it could have needed was given free until it ended.
  absl::Status CheckStillKept(int64_t revision) const;
  // Records of `range` from `key` on, by the index; nullopt: none there.
  absl::StatusOr<std::optional<int64_t>> CountFrom(std::string_view key,
                                                   const struct KeyRange& range,
                                                   int64_t revision) const;
  absl::StatusOr<Event> LoadEvent(int64_t revision, const struct EventView& event,
                                  bool prev_kv) const;
  // `cancel`, `keys`: as HashAndCount; null: not asked for.
  absl::StatusOr<uint64_t> HashVersions(int64_t revision, const std::atomic<bool>* cancel = nullptr,
                                        uint64_t* keys = nullptr) const;

  const std::shared_ptr<Database> database_;
  const rocksdb::Snapshot* const snapshot_;
  const int64_t revision_;
  const int64_t compact_revision_;
  const uint64_t applied_index_;
};

}  // namespace keel::kvstore
