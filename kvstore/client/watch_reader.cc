#include <utility>

#include "kvstore/client/client.h"
#include "kvstore/client/watch.h"

namespace keel::kvstore {

WatchReader::WatchReader(Client& client, std::string_view key, const WatchOptions& options) {
  watch_ = client.Watch(
      key, options,
      [this](etcdserverpb::WatchResponse& response) {
        std::lock_guard lock(mu_);
        if (response.created()) {
          created_ = true;
        } else {
          responses_.push_back(std::move(response));
        }
        changed_.notify_all();
      },
      [this](const WatchEnd& end) {
        std::lock_guard lock(mu_);
        end_ = end;
        changed_.notify_all();
      });
}

WatchReader::~WatchReader() = default;

template <typename Ready>
bool WatchReader::WaitFor(std::unique_lock<std::mutex>& lock, base::Duration timeout, Ready ready) {
  if (timeout == base::Duration::max()) {
    changed_.wait(lock, ready);
    return true;
  }
  return changed_.wait_for(lock, timeout, ready);
}

absl::StatusOr<etcdserverpb::WatchResponse> WatchReader::Next(base::Duration timeout) {
  std::unique_lock lock(mu_);
  if (!WaitFor(lock, timeout, [this] { return !responses_.empty() || end_.has_value(); })) {
    return absl::DeadlineExceededError("no event in time");
  }
  if (responses_.empty()) return end_->status;
  etcdserverpb::WatchResponse response = std::move(responses_.front());
  responses_.pop_front();
  return response;
}

absl::Status WatchReader::WaitUntilCreated(base::Duration timeout) {
  std::unique_lock lock(mu_);
  if (!WaitFor(lock, timeout, [this] { return created_ || end_.has_value(); })) {
    return absl::DeadlineExceededError("the watch was not established in time");
  }
  return created_ ? absl::OkStatus() : end_->status;
}

std::optional<WatchEnd> WatchReader::end() const {
  std::lock_guard lock(mu_);
  return end_;
}

}  // namespace keel::kvstore
