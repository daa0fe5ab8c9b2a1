// One I/O loop's part of the hub: its streams, their watchers and the index of
// those. See hub.h for the whole.
//
// Invariants, between tasks of the loop:
//   - every revision up to live_ was offered to every synced watcher;
//   - a watcher that is behind was sent exactly what it wants below its
//     next_revision, and is in one queue: to catch up from recent revisions,
//     to catch up from the store, or (its stream is full) the stream's own;
//   - a ready watcher has next_revision <= live_.
//
// Internal to the watch hub. Threads: Wake may be called from any thread, all
// else on the loop.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "kvstore/feed.h"
#include "watch/hub.h"
#include "watch/stream.h"
#include "watch/watcher_index.h"

namespace keel::watch {

class Shard : public std::enable_shared_from_this<Shard> {
 public:
  Shard(HubCore& core, base::Loop& loop) : core_(core), loop_(loop) {}

  base::Loop& loop() const { return loop_; }

  // There is something new in core.recent.
  void Wake();

  void Add(Stream& stream);
  void Remove(Stream& stream);
  absl::StatusOr<CreateResult> Create(Stream& stream, const CreateOptions& options);
  bool Cancel(Stream& stream, int64_t watch_id);
  void RequestProgress(Stream& stream);
  void OnDrained(Stream& stream);

 private:
  // Which watchers a distribution is for.
  struct Audience {
    bool synced = false;           // those that are live; else those ready to catch up
    WatcherGroup* only = nullptr;  // the span holds events of this group's range alone
    bool has_prev = true;          // the events carry previous values
  };

  // --- shard.cc: the live path.
  void Publish();  // offers what is new to the synced watchers
  void FallBehindAll();
  void Distribute(const RevisionSpan& span, const Audience& audience);
  void DeliverToGroup(WatcherGroup& group, const RevisionSpan& span, const Audience& audience);
  void Deliver(Watcher& watcher, const RevisionSpan& span, bool last_is_through);
  void Send(Watcher& watcher, const ResponsePlan& plan, const ResponsePlan::Response& response,
            int64_t revision);
  void AnswerProgress();
  void StartProgressTimer(Stream& stream);
  void NotifyProgress(Stream& stream);

  // --- shard_catch_up.cc: what becomes of watchers that are behind.
  void SetBehind(Watcher& watcher, int64_t next_revision);
  void SetSynced(Watcher& watcher);
  void Enqueue(Watcher& watcher);  // into one of the three queues, by its state and revision
  void Detach(Watcher& watcher);   // from group and queue
  void DestroyWatcher(Stream& stream, int64_t watch_id);
  bool IsEligible(const Watcher& watcher, const RevisionSpan& span, bool has_prev) const;
  void Advance(const RevisionSpan& span, const Audience& audience);
  void AdvanceOne(Watcher& watcher, const RevisionSpan& span, const Audience& audience);
  void ScheduleCatchUp();
  void CatchUp();  // one turn
  Watcher* NextBehind(WatcherQueue& queue);
  void CatchUpFromRecent();
  void StartHistoryRead();
  void OnHistory(const kvstore::ChangeFeed::HistoryOptions& request, bool sweep,
                 absl::StatusOr<kvstore::ChangeFeed::History> history);
  void OnCompacted(int64_t from_revision);

  HubCore& core_;
  base::Loop& loop_;

  std::atomic<bool> active_{false};        // has watchers
  std::atomic<bool> wake_pending_{false};  // a Publish is posted

  WatcherIndex index_;
  std::vector<Stream*> streams_;
  int64_t live_ = 0;
  size_t watcher_count_ = 0;
  size_t synced_count_ = 0;

  WatcherQueue recent_queue_;
  WatcherQueue history_queue_;
  bool catch_up_scheduled_ = false;
  bool pick_furthest_ = false;
  bool history_in_flight_ = false;  // or waiting to be tried again

  std::vector<Stream*> progress_waiting_;

  // Of the distribution in progress; kept for their capacity.
  RevisionSpan span_;
  std::vector<WatcherGroup*> touched_;
  std::array<ResponsePlan, EventFilter::kVariants> plans_;
};

}  // namespace keel::watch
