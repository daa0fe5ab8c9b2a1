#include "watch/stream.h"

#include <utility>

#include "watch/shard.h"

namespace keel::watch {

Stream::Stream(std::shared_ptr<Shard> shard, StreamSink& sink)
    : shard_(std::move(shard)), sink_(sink) {
  shard_->Add(*this);
}

Stream::~Stream() { shard_->Remove(*this); }

absl::StatusOr<CreateResult> Stream::Create(const CreateOptions& options) {
  return shard_->Create(*this, options);
}

bool Stream::Cancel(int64_t watch_id) { return shard_->Cancel(*this, watch_id); }

std::vector<int64_t> Stream::watch_ids() const {
  std::vector<int64_t> ids;
  ids.reserve(watchers_.size());
  for (const auto& [id, watcher] : watchers_) ids.push_back(id);
  return ids;
}

void Stream::RequestProgress() { shard_->RequestProgress(*this); }

void Stream::OnDrained() { shard_->OnDrained(*this); }

}  // namespace keel::watch
