// One RocksDB with the store's column families and settings, and the
// translation of its errors. Formats: docs/formats/mvcc.md.
//
// RocksDB's own log is off: what is not flushed is lost in a crash and comes
// back by replaying the Raft log. Flushes are atomic across the column
// families, so that the applied index in `meta` always fits the data.
//
// Thread-safety: as rocksdb::DB; Close-related members are the owner's.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "kvstore/mvcc/count_index.h"
#include "kvstore/mvcc/store_options.h"
#include "rocksdb/db.h"

namespace keel::kvstore {

enum class Family : uint8_t {
  kMeta = 0,       // RocksDB's "default"
  kLatest = 1,     // user key → newest record, of keys that exist
  kHistory = 2,    // user key, revision → superseded record
  kEvents = 3,     // revision, sub → what changed up to there
  kLease = 4,      // id → times to live
  kLeaseKeys = 5,  // id, user key → nothing
};
inline constexpr size_t kFamilies = 6;

inline rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// Corruption → DataLoss, no space → ResourceExhausted, lock held → Unavailable,
// all else → Internal. RocksDB's text, which names the file, follows `what`.
absl::Status ToStatus(const rocksdb::Status& status, std::string_view what);

class Database {
 public:
  // Opens the database in folder `path`; creates it when `create`. Writes the format
  // version into a new one. FailedPrecondition when it is of a newer format.
  static absl::StatusOr<std::shared_ptr<Database>> Open(const std::string& path,
                                                        const StoreOptions& options, bool create);
  // Reads a database that nobody writes, from end to end: DataLoss naming the file whose checksums
  // say otherwise. Cancelled when `cancel` becomes true meanwhile.
  static absl::Status Verify(const std::string& path, const StoreOptions& options,
                             const std::atomic<bool>& cancel);
  ~Database();

  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  rocksdb::DB* db() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* family(Family family) const {
    return handles_[static_cast<size_t>(family)];
  }
  const std::string& path() const { return path_; }
  StoreHost* host() const { return host_; }  // null: the system

  // True and the value, or false when there is none.
  absl::StatusOr<bool> Get(Family family, const rocksdb::Snapshot* snapshot, std::string_view key,
                           rocksdb::PinnableSlice* value) const;
  // Of keys the newest values, each with a status of its own: OK, NotFound, or RocksDB's error.
  void MultiGet(Family family, std::span<const rocksdb::Slice> keys, rocksdb::PinnableSlice* values,
                rocksdb::Status* statuses) const;
  // As Get of `meta`, but of what is on disk: what a crash now would leave.
  absl::StatusOr<bool> GetDurableMeta(std::string_view key, rocksdb::PinnableSlice* value) const;

  // `upper`, when not null, outlives the iterator.
  std::unique_ptr<rocksdb::Iterator> NewIterator(Family family, const rocksdb::Snapshot* snapshot,
                                                 const rocksdb::Slice* upper) const;

  absl::Status Write(rocksdb::WriteBatch* batch);
  // Tries to go on after a full disk; OK when writes are taken again.
  absl::Status Resume();
  // Flushes all families at once; `wait` until it is done.
  absl::Status Flush(bool wait);

  // History at or below it may vanish from disk at any time; -1: none. Set it
  // only to a revision that is durable as the compact revision: else a crash could
  // bring back a state that still promises what is gone.
  int64_t drop_revision() const { return drop_revision_->load(std::memory_order_acquire); }
  void set_drop_revision(int64_t revision) {
    drop_revision_->store(revision, std::memory_order_release);
  }

  CountIndex& counts() const { return *counts_; }

  // True once after each flush that has finished since the last call.
  bool ConsumeFlushed() { return flushed_.exchange(false, std::memory_order_acq_rel); }
  // True once after a Write during which a memtable was sealed: all that was written before it is
  // on its way to the disk. The writer's thread only.
  bool ConsumeSealed() { return std::exchange(sealed_, false); }
  absl::Status background_status() const;
  StoreSizes sizes() const;

  // The folder is removed when the last user lets go.
  void RemoveOnClose() { remove_on_close_.store(true); }

 private:
  class Listener;
  Database() = default;

  std::string path_;
  StoreHost* host_ = nullptr;
  bool crash_on_close_ = false;
  std::atomic<bool> remove_on_close_{false};
  std::atomic<bool> flushed_{true};
  std::atomic<uint64_t> memtables_sealed_{0};
  bool sealed_ = false;
  // Shared with the compaction filters, which RocksDB may keep longest.
  std::shared_ptr<std::atomic<int64_t>> drop_revision_;
  std::unique_ptr<CountIndex> counts_;
  mutable base::Mutex mutex_;
  absl::Status background_status_ ABSL_GUARDED_BY(mutex_);
  bool compaction_failed_ ABSL_GUARDED_BY(mutex_) = false;  // that is all background_status_ says
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

}  // namespace keel::kvstore
