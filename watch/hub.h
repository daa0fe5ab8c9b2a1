// The watch hub: one subscriber of the store's change feed, many watchers.
//
//   watch::Hub hub(feed, worker_loop);
//   apply_loop.Post([&] { hub.Start(); });          // and wait for it
//   std::unique_ptr<watch::Stream> stream = hub.OpenStream(io_loop, sink);
//
// What it promises each watcher (etcd's guarantees): every event of its range
// from its start revision on, once, in order of revision; the events of one
// revision together.
//
// How. The apply loop appends each batch to the recent revisions (bounded
// memory) and wakes each I/O loop that has watchers, once for however many
// batches arrive before it runs. Each I/O loop owns a shard: the streams of its
// connections, their watchers, and an index of those. A shard matches a batch
// against its index, encodes what matched once per range, and hands each
// watcher a head of its own with the shared bytes. A watcher that cannot take
// more, or that starts in the past, is "behind": nothing is kept for it but its
// next revision, and it catches up in turns, from the recent revisions or, by
// way of the worker loop, from the store; then it is served live again. Reads
// are shared by all the watchers that they can serve.
//
// Threads: Start and Stop, and the feed's callbacks, run on the apply loop;
// OpenStream on the loop it names; Stats anywhere. The worker loop may block
// on the disk and must be none of the others (a simulator may share them).
// Lifetime: the feed and all loops must outlive the Hub's streams. Destroy the
// Hub after Stop, when all streams are gone and the loops run no more tasks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/loop.h"
#include "kvstore/feed.h"
#include "watch/recent_revisions.h"
#include "watch/stream.h"

namespace keel::watch {

struct HubOptions {
  // Memory for the newest revisions, from which slow watchers catch up.
  size_t recent_bytes_max = 16 << 20;
  // Several revisions go into one response up to about this much.
  size_t response_bytes_target = 256 << 10;
  // Watchers that ask for fragments get larger revisions cut at this size.
  // etcd: --max-request-bytes plus 512 KiB.
  size_t fragment_bytes_min = (1536 << 10) + (512 << 10);
  // Events looked at in one turn of a loop, before other work gets its turn.
  size_t turn_events_max = 4096;
  // One read of the store for watchers that are further behind.
  uint64_t history_bytes_max = 2 << 20;
  uint64_t history_scanned_max = 10'000;
  base::Duration history_retry_interval = std::chrono::seconds(1);
  // For watchers with progress_notify that were sent nothing else.
  // etcd: --experimental-watch-progress-notify-interval.
  base::Duration progress_notify_interval = std::chrono::minutes(10);
};

// Since the hub was made, or at present.
struct HubStats {
  int64_t streams = 0;
  int64_t watchers = 0;
  int64_t watchers_behind = 0;  // etcd: slow watchers
  uint64_t events_sent = 0;
  uint64_t responses_sent = 0;
  uint64_t history_reads = 0;
};

// What the shards of one hub share.
struct HubCore {
  HubCore(const kvstore::ChangeFeed& feed_arg, base::Loop& worker_arg,
          const HubOptions& options_arg)
      : feed(feed_arg),
        worker(worker_arg),
        options(options_arg),
        recent(options_arg.recent_bytes_max) {}

  const kvstore::ChangeFeed& feed;
  base::Loop& worker;
  const HubOptions options;
  RecentRevisions recent;

  std::atomic<int64_t> streams{0};
  std::atomic<int64_t> watchers{0};
  std::atomic<int64_t> watchers_behind{0};
  std::atomic<uint64_t> events_sent{0};
  std::atomic<uint64_t> responses_sent{0};
  std::atomic<uint64_t> history_reads{0};
};

class Hub final : public kvstore::FeedSubscriber {
 public:
  Hub(kvstore::ChangeFeed& feed, base::Loop& worker, const HubOptions& options = {});
  ~Hub() override;

  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Subscribes. REQUIRES: before any stream is opened.
  void Start();
  // Unsubscribes. Streams may go on to exist; nothing new reaches them.
  void Stop();

  // REQUIRES: loop.InLoop(); the sink outlives the stream.
  std::unique_ptr<Stream> OpenStream(base::Loop& loop, StreamSink& sink);

  // The store's present revision. Any thread.
  int64_t revision() const { return core_.feed.current_revision(); }
  HubStats Stats() const;
  const HubOptions& options() const { return core_.options; }

  void OnRevisions(std::shared_ptr<const kvstore::FeedBatch> batch) override;
  void OnReset(int64_t revision) override;

 private:
  void WakeShards();

  kvstore::ChangeFeed& feed_;
  HubCore core_;
  std::mutex mu_;
  std::vector<std::shared_ptr<Shard>> shards_;  // guarded by mu_; one per loop
};

}  // namespace keel::watch
