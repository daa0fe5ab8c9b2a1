// Lease keep-alives: clients with a lease and a stream each that ask for the
// next renewal when the last was answered.
#pragma once

#include <memory>
#include <vector>

#include "base/asio_loop.h"
#include "bench/run.h"
#include "rpc/client.h"

namespace keel::bench {

class LeaseLoad final : public Load {
 public:
  // The share of thread `thread` of options.threads.
  LeaseLoad(Run& run, int thread);
  ~LeaseLoad() override;

  // Grants the leases (60 seconds each) and opens the streams.
  absl::Status Prepare() override;
  void Start() override;
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
