// One client's watch stream: its watchers, and where their events go.
//
//   class Connection : public StreamSink { ... };
//   std::unique_ptr<Stream> stream = hub.OpenStream(loop, connection);
//   auto created = stream->Create({.range = KeyRange::FromRequest("a", "b")});
//   stream->Cancel(created->watch_id);
//
// Threads: a stream, its watchers and its sink live on one loop: every method
// is called there and every callback runs there. (Once the loop was stopped
// for good, a stream may be destroyed on any one thread.) Callbacks must not
// call back into the stream, nor destroy it, before they have returned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "watch/key_range.h"
#include "watch/response_plan.h"
#include "watch/watcher.h"

namespace keel::watch {

class Shard;

// One response with events. The parts may be kept and shared.
struct EventsResponse {
  int64_t watch_id = 0;
  // Every event up to this revision was delivered with this response, or
  // before it. (With `fragment` set: with the responses that follow.)
  int64_t revision = 0;
  bool fragment = false;  // more of the same revision follows
  const EncodedEvents& events;
};

class StreamSink {
 public:
  virtual ~StreamSink() = default;

  // Whether so much waits for the client to read that its watchers are to fall
  // behind. Once it has drained, the owner calls Stream::OnDrained.
  virtual bool full() const = 0;

  virtual void SendEvents(const EventsResponse& response) = 0;
  // `watch_id` is kAllWatchers in answer to RequestProgress.
  virtual void SendProgress(int64_t watch_id, int64_t revision) = 0;
  // The watcher is gone: what it wanted next has been compacted.
  virtual void SendCompacted(int64_t watch_id, int64_t compact_revision) = 0;
};

constexpr int64_t kAllWatchers = -1;

struct CreateOptions {
  KeyRange range;
  int64_t start_revision = 0;  // 0: from now on
  int64_t watch_id = 0;        // 0: the stream chooses
  EventFilter filter;
  bool progress_notify = false;
  bool fragment = false;
};

struct CreateResult {
  int64_t watch_id = 0;
  int64_t revision = 0;  // the store's; the events after it follow when start_revision was 0
  // Not 0: the start revision was compacted, and no watcher was made.
  int64_t compact_revision = 0;
};

class Stream {
 public:
  ~Stream();  // Cancels every watcher.

  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Events follow after it has returned, never inside. Errors, with etcd's
  // texts: InvalidArgument for an empty range, AlreadyExists for an id in use.
  absl::StatusOr<CreateResult> Create(const CreateOptions& options);

  // False when there is no such watcher.
  bool Cancel(int64_t watch_id);

  // Sends one progress response for the whole stream as soon as every watcher
  // has been sent everything up to the present revision: at once, or later.
  // Requests meanwhile join. As in etcd 3.6, there is no answer while a
  // watcher waits for a revision still to come.
  void RequestProgress();

  // The sink is not full any more.
  void OnDrained();

  std::vector<int64_t> watch_ids() const;
  size_t watcher_count() const { return watchers_.size(); }
  // Watchers that have not been sent all there is.
  size_t behind_count() const { return behind_count_; }

 private:
  friend class Hub;
  friend class Shard;

  Stream(std::shared_ptr<Shard> shard, StreamSink& sink);

  const std::shared_ptr<Shard> shard_;
  StreamSink& sink_;
  absl::btree_map<int64_t, std::unique_ptr<Watcher>> watchers_;  // by id
  int64_t next_id_ = 0;
  size_t behind_count_ = 0;
  WatcherQueue blocked_;

  bool progress_requested_ = false;
  int64_t progress_target_ = 0;
  base::TimerId progress_timer_ = 0;  // runs while a watcher has progress_notify
};

}  // namespace keel::watch
