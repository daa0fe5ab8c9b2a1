#include "kvstore/mvcc/checkpoint_checker.h"

#include <utility>

#include "kvstore/mvcc/database.h"
#include "kvstore/mvcc/store_host.h"

namespace keel::kvstore {

CheckpointChecker::~CheckpointChecker() {
  cancel_->store(true);
  base::MutexLock lock(&mutex_);
  if (thread_.joinable()) thread_.join();
}

void CheckpointChecker::Check(const std::string& dir, Done done) {
  auto check = [options = options_, cancel = cancel_, dir, done = std::move(done)]() mutable {
    if (cancel->load()) return;
    absl::Status status = Database::Verify(dir, options, *cancel);
    if (!cancel->load()) done(std::move(status));
  };
  if (options_.host != nullptr) return options_.host->RunLater(std::move(check));
  base::MutexLock lock(&mutex_);
  if (thread_.joinable()) thread_.join();
  thread_ = std::thread(std::move(check));
}

}  // namespace keel::kvstore
