// The store on disk: a folder that holds one database at a time and can swap it
// for another in one atomic step.
//
//   <dir>/LOCK          held while open
//   <dir>/CURRENT       name of the database in force, e.g. "db-000003\n"
//   <dir>/db-000003/    a RocksDB
//
// A folder that CURRENT does not name is what a crash left of a swap; Open
// removes it.
//
// Thread-safety: view(), sizes(), background_status(), Resume(), ExportCheckpoint and
// WhenPhysicallyCompacted from any thread; all else on the apply loop.
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "kvstore/mvcc/checkpoint_checker.h"
#include "kvstore/mvcc/database.h"
#include "kvstore/mvcc/db_view.h"
#include "kvstore/mvcc/history_compactor.h"
#include "kvstore/mvcc/store_options.h"
#include "kvstore/mvcc/writer.h"

namespace keel::kvstore {

class Store {
 public:
  // Opens the store in options.dir, or makes an empty one. Errors: DataLoss naming what is
  // damaged, FailedPrecondition for a newer format, Unavailable when it is held.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const StoreOptions& options);
  ~Store();  // Flushes.

  // The log entry whose effects it holds, as of Open, Commit or Restore.
  uint64_t applied_index() const { return applied_.index; }
  uint64_t applied_term() const { return applied_.term; }

  Writer& writer() { return *writer_; }
  // Commits what the writer gathered. Publish makes it visible to view(). On a full disk
  // it blocks until there is room, for options.full_disk_wait_ms at most.
  absl::Status Commit(uint64_t index, uint64_t term);
  void Publish();
  std::shared_ptr<const DbView> view() const;

  // The value, or nullopt-like false; of what is committed.
  absl::StatusOr<bool> GetMeta(std::string_view key, std::string* value) const;
  // Calls visit(key, value) for every meta key with the prefix, in order; the key without it.
  absl::Status ScanMeta(std::string_view prefix,
                        absl::FunctionRef<void(std::string_view, std::string_view)> visit) const;
  // The same over all leases: id, granted and remaining time to live.
  absl::Status ScanLeases(absl::FunctionRef<void(int64_t, int64_t, int64_t)> visit) const;

  // The applied index that a crash would leave.
  uint64_t durable_index();
  // Starts making durable what is not: nothing where a flush that RocksDB began of its own accord
  // covers most of what has come since the last call.
  absl::Status StartFlush();
  // What lies at or below it is durable, or on its way.
  uint64_t sealed_index() const { return sealed_index_; }
  // Returns OK when everything committed is in files. REQUIRES: nothing is pending.
  absl::Status FlushAll();

  // For a store that is given to another log: it now stands at entry `index` of that one. Comes
  // with the next Commit.
  void Rebase(uint64_t index, uint64_t term);

  // REQUIRES: the writer has compacted at `revision`, and that is committed.
  void SchedulePhysicalCompaction(int64_t revision);
  void WhenPhysicallyCompacted(int64_t revision, absl::AnyInvocable<void(absl::Status)> done);

  // Links the database's files into `dir` (which is empty or missing): everything committed.
  absl::Status WriteCheckpoint(const std::string& dir);
  // Reads what WriteCheckpoint wrote into `dir`, on a thread of its own (a host: later), and calls
  // `done` there: DataLoss when the disk has damaged it. Not called once the store is gone.
  void CheckCheckpoint(const std::string& dir, absl::AnyInvocable<void(absl::Status)> done);
  // The same beside the apply loop, which goes on: what was committed when this was called, and
  // perhaps some of what came meanwhile; always the effects of a prefix of the log. Blocks for a
  // flush.
  absl::Status ExportCheckpoint(const std::string& dir);
  // Takes over the files in `dir`, which WriteCheckpoint wrote somewhere. A crash at any
  // point leaves the old state or the new one. REQUIRES: nothing is pending.
  // Views of the old state stay good. FailedPrecondition when the checkpoint is
  // not of log entry `index`; then nothing has changed.
  absl::Status Restore(const std::string& dir, uint64_t index);

  // Measured anew when the last measure is older than `max_age`.
  StoreSizes sizes(base::Duration max_age) const;
  absl::Status background_status() const;
  // Flushes again after a full disk; OK when writes and flushes go on. Takes as long as a flush.
  absl::Status Resume();

 private:
  explicit Store(const StoreOptions& options)
      : options_(options), checker_(std::make_unique<CheckpointChecker>(options)) {}
  int64_t NowNanos() const;
  absl::Status Adopt(std::shared_ptr<Database> database);
  std::shared_ptr<Database> database() const;

  const StoreOptions options_;
  std::unique_ptr<base::FileLock> lock_;
  uint64_t number_ = 0;  // of the database in force
  AppliedMeta applied_;
  uint64_t durable_index_ = 0;
  uint64_t sealed_index_ = 0;
  uint64_t flush_asked_at_ = 0;  // applied index at the last StartFlush
  std::unique_ptr<Writer> writer_;
  std::unique_ptr<CheckpointChecker> checker_;

  mutable base::Mutex mutex_;
  std::shared_ptr<Database> database_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const DbView> view_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<HistoryCompactor> compactor_ ABSL_GUARDED_BY(mutex_);
  mutable StoreSizes sizes_ ABSL_GUARDED_BY(mutex_);
  mutable int64_t sizes_at_ns_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keel::kvstore
