// Removes compacted history from the disk in the background, beside all other
// load: makes the compact revision durable, lets the filters drop what lies
// below it, and has RocksDB rewrite the files that hold any.
//
// Thread-safety: any thread. One thread of its own, or none on a StoreHost: then
// its work is done when the host runs it, and a failed pass is tried again at once.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "kvstore/mvcc/database.h"

namespace keel::kvstore {

class HistoryCompactor {
 public:
  // Goes on with what an earlier run left undone.
  explicit HistoryCompactor(std::shared_ptr<Database> database);
  ~HistoryCompactor();  // Cancels what runs; waiters get Cancelled.

  // History below `revision` may go. Several calls may be served by one pass.
  void Schedule(int64_t revision);
  // Calls back, where the compactor's work is done, when it has gone; an error when it could not.
  // REQUIRES: Schedule(revision) was called, in this run or an earlier one.
  void WhenDone(int64_t revision, absl::AnyInvocable<void(absl::Status)> done);

 private:
  struct Waiter {
    int64_t revision;
    absl::AnyInvocable<void(absl::Status)> done;
  };

  void Run();
  // Does what there is to do, and tells those who wait for it.
  absl::Status Step();
  void StepOnHost() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One pass; returns the revision up to which the disk is clean now.
  absl::StatusOr<int64_t> Pass();
  // Rewrites a family of which the larger part is deleted.
  absl::Status GiveBack(Family family, const rocksdb::CompactRangeOptions& options);

  const std::shared_ptr<Database> database_;
  std::atomic<bool> cancel_{false};
  base::Mutex mutex_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t target_ ABSL_GUARDED_BY(mutex_) = -1;
  int64_t done_ ABSL_GUARDED_BY(mutex_) = -1;
  std::vector<Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  bool step_coming_ ABSL_GUARDED_BY(mutex_) = false;  // on the host
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::thread thread_;  // none on a host
};

}  // namespace keel::kvstore
