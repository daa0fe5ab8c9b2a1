#include "watch/hub.h"

#include <utility>

#include "base/check.h"
#include "watch/shard.h"

namespace keel::watch {

Hub::Hub(kvstore::ChangeFeed& feed, base::Loop& worker, const HubOptions& options)
    : feed_(feed), core_(feed, worker, options) {}

Hub::~Hub() = default;

void Hub::Start() { core_.recent.Reset(feed_.Subscribe(this)); }

void Hub::Stop() { feed_.Unsubscribe(this); }

std::unique_ptr<Stream> Hub::OpenStream(base::Loop& loop, StreamSink& sink) {
  KEEL_CHECK(loop.InLoop());
  std::lock_guard lock(mu_);
  for (const auto& shard : shards_) {
    if (&shard->loop() == &loop) return std::unique_ptr<Stream>(new Stream(shard, sink));
  }
  shards_.push_back(std::make_shared<Shard>(core_, loop));
  return std::unique_ptr<Stream>(new Stream(shards_.back(), sink));
}

HubStats Hub::Stats() const {
  return {.streams = core_.streams.load(),
          .watchers = core_.watchers.load(),
          .watchers_behind = core_.watchers_behind.load(),
          .events_sent = core_.events_sent.load(),
          .responses_sent = core_.responses_sent.load(),
          .history_reads = core_.history_reads.load()};
}

void Hub::OnRevisions(std::shared_ptr<const kvstore::FeedBatch> batch) {
  if (batch->empty()) return;
  core_.recent.Append(std::make_shared<const EventBatch>(std::move(batch)));
  WakeShards();
}

void Hub::OnReset(int64_t revision) {
  KEEL_CHECK(revision >= core_.recent.newest(), "revision=", revision);
  core_.recent.Reset(revision);
  WakeShards();
}

void Hub::WakeShards() {
  std::lock_guard lock(mu_);
  for (const auto& shard : shards_) shard->Wake();
}

}  // namespace keel::watch
