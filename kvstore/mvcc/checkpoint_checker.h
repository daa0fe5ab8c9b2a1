// Reads checkpoints from end to end before anybody gets them. Their files are links
// to those of the store, and parts of these may not have been read for months.
//
// Thread-safety: any thread. A thread of its own while there is something to check,
// none on a StoreHost: then it is done when the host runs it.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "kvstore/mvcc/store_options.h"

namespace keel::kvstore {

class CheckpointChecker {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;

  // Of `options` those that say where files are.
  explicit CheckpointChecker(const StoreOptions& options) : options_(options) {}
  ~CheckpointChecker();  // Cancels; `done` is not called any more.

  // `done` gets what Database::Verify says, on the thread that read. One after the other: Check
  // waits for the one before.
  void Check(const std::string& dir, Done done);

 private:
  const StoreOptions options_;
  const std::shared_ptr<std::atomic<bool>> cancel_ = std::make_shared<std::atomic<bool>>(false);
  base::Mutex mutex_;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keel::kvstore
