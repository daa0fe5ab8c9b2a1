// `keel up`: brings a cluster up in stages, says so, and keeps it up until it is stopped.
//
//   ClusterRun run(loop, options, say);
//   run.Start([&](absl::Status status) { ... OK: nodes are Ready; else: why it gave up });
//   run.Stop([&] { loop.Stop(); });
//
// Thread-safety: on its loop only; SIGCHLD is taken over through the loop.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/asio_loop.h"
#include "orchestrator/client/api_client.h"
#include "orchestrator/keel/cluster_state.h"
#include "orchestrator/keel/plan.h"
#include "orchestrator/keel/process.h"
#include "orchestrator/keel/supervisor.h"

namespace keel::orchestrator {

class ClusterRun {
 public:
  using Say = std::function<void(const std::string& line)>;

  // REQUIRES: WriteClusterFiles(options) was called.
  ClusterRun(base::AsioLoop& loop, ClusterOptions options, const std::string& program_dir, Say say);
  ~ClusterRun();

  void Start(std::function<void(absl::Status)> on_up);
  void Stop(std::function<void()> done);
  bool up() const { return up_; }

 private:
  struct Probe;

  void BeginStage(int stage);
  void Check();
  void Answered(size_t probe, bool ready);
  void StageReady();
  void Fail(const std::string& why);
  void WatchChildren();
  void WriteDown();
  std::string StageName() const;

  base::AsioLoop& loop_;
  const ClusterOptions options_;
  const ClusterFiles files_;
  const Say say_;
  ProcessLauncher launcher_;
  Supervisor supervisor_;
  boost::asio::signal_set children_;
  int stage_ = -1;
  bool up_ = false, failed_ = false;
  size_t ready_nodes_ = 0;
  base::TimePoint stage_began_{}, began_{};
  std::vector<Probe> probes_;  // of the stage
  std::function<void(absl::Status)> on_up_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace keel::orchestrator
