// Watch fan-out: watchers of the whole key space on many streams, while puts
// come in (a UnaryLoad with the workload kWatch makes them).
//
// Every put reaches every watcher. Its value begins with the time at which the
// put was due, so that an event's latency is that from the put to the watcher.
#pragma once

#include <memory>
#include <vector>

#include "base/asio_loop.h"
#include "bench/run.h"
#include "rpc/client.h"

namespace keel::bench {

class WatchLoad final : public Load {
 public:
  // The share of thread `thread` of options.threads.
  WatchLoad(Run& run, int thread);
  ~WatchLoad() override;

  // Returns when every watcher is established.
  absl::Status Prepare() override;
  void Start() override {}
  void Stop() override;
  const Found& found() const override { return found_; }

 private:
  class Stream;

  Run& run_;
  base::AsioLoop loop_;
  Found found_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;
  std::vector<std::shared_ptr<Stream>> streams_;
};

}  // namespace keel::bench
