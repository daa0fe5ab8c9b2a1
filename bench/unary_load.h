// Puts, ranges and transactions: clients that each have one call in flight.
//
// Closed loop: a client sends its next call when the last was answered. Open
// loop (a rate is given): calls are due at fixed times whatever the server
// does; one that finds no free client waits for it, and its latency is counted
// from when it was due, so that a stall of the server is not left out of the
// percentiles ("coordinated omission").
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/asio_loop.h"
#include "bench/run.h"
#include "rpc/client.h"

namespace keel::bench {

class UnaryLoad final : public Load {
 public:
  // The share of thread `thread` of options.threads.
  UnaryLoad(Run& run, int thread);
  ~UnaryLoad() override;

  absl::Status Prepare() override;
  void Start() override;
  void Stop() override;
  const Found& found() const override { return found_; }

 private:
  struct Client {
    rpc::Channel* channel;
    int64_t start_ns;
  };

  void Issue(Client& client, int64_t start_ns, int64_t now_ns);
  void Done(Client& client, const absl::Status& status);
  void Free(Client& client, int64_t now_ns);
  void Tick();
  bool WindowFull() const;

  Run& run_;
  base::AsioLoop loop_;
  RequestMaker maker_;
  Found found_;
  std::vector<std::unique_ptr<rpc::Channel>> channels_;
  std::vector<Client> clients_;

  // Open loop
  double interval_ns_ = 0;
  uint64_t calls_per_step_ = 1;  // due together
  uint64_t calls_ = 0;
  double next_due_ns_ = 0;
  std::vector<Client*> idle_;
  std::deque<int64_t> due_;
};

}  // namespace keel::bench
