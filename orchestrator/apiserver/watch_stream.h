// One watch on its way out: first what is there (if asked for), then what the ring remembers, then
// live; a client that reads slowly falls back to the ring, and gets 410 when that has moved on.
//
// Thread-safety: on the server's loop only. The connection keeps it alive until its OnEnd.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "orchestrator/apiserver/cache.h"
#include "orchestrator/apiserver/object_selector.h"
#include "orchestrator/apiserver/presenter.h"
#include "rpc/server_call.h"

namespace keel::orchestrator {

struct WatchPlan {
  std::vector<CachedObjectPtr> initial{};  // told as ADDED
  // Changes after it are told; those of before are in `initial` or not wanted.
  int64_t revision = 0;
  bool bookmark_after_initial = false;
  bool bookmarks = false;
  base::Duration timeout{};
};

// Where the events go: the body of an answer, or a WebSocket.
class WatchSink {
 public:
  virtual ~WatchSink() = default;
  // One event, as a line.
  virtual void Send(rpc::Message line) = 0;
  // After what was sent. OnEnd comes later.
  virtual void Finish() = 0;
  virtual size_t queued_bytes() const = 0;
};

class WatchStream final : public rpc::ServerStreamHandler,
                          public ChangeListener,
                          public std::enable_shared_from_this<WatchStream> {
 public:
  WatchStream(std::shared_ptr<WatchSink> sink, base::Loop& loop, Cache& cache,
              const Presenter& presenter, Presenter::View view, ObjectSelector selector,
              WatchPlan plan);
  ~WatchStream() override;

  void Go();

  // rpc::ServerStreamHandler:
  void OnMessage(std::string_view) override {}
  void OnWritable() override;
  void OnEnd() override;

  // ChangeListener:
  void OnChange(const ObjectChange& change) override;
  void OnReset() override;

 private:
  void Pump();
  void Tell(const ObjectChange& change);
  void Send(ChangeType type, const CachedObjectPtr& object);
  void SendBookmark(bool initial_events_end);
  void SendError(const absl::Status& status);
  void ArmBookmark();
  void End();
  bool Full() const;

  std::shared_ptr<WatchSink> sink_;  // null once ended
  base::Loop& loop_;
  Cache& cache_;
  ResourceCache& resource_;
  const Presenter& presenter_;
  Presenter::View view_;
  const ObjectSelector selector_;
  WatchPlan plan_;
  size_t next_initial_ = 0;
  int64_t told_ = 0;   // changes up to it were told or not wanted
  bool live_ = false;  // listens; else Pump goes on from the ring
  base::TimerId bookmark_timer_ = 0, timeout_timer_ = 0;
};

// Chunks of the answer's body. `call` tells the stream when it is writable.
std::shared_ptr<WatchSink> SinkOf(rpc::ServerCallPtr call);

}  // namespace keel::orchestrator
