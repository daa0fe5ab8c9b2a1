// A ContainerRuntime that runs nothing: containers start after a delay, are ready, end and fail as
// the options or the pod's annotations say, so that thousands of nodes fit one process.
//
// Annotations of a pod (all optional):
//   keel.io/hollow-start-seconds: "2"     until its containers have started
//   keel.io/hollow-ready-seconds: "5"     from there until they are ready
//   keel.io/hollow-ready: "false"         they never are
//   keel.io/hollow-run-seconds: "30"      they end after that time
//   keel.io/hollow-exit-code: "1"         with that code (0)
//   keel.io/hollow-stop-seconds: "3"      from the request to stop until they have
// Without run-seconds, containers of pods with restartPolicy Always run on, others for `run_time`.
//
// Delays vary at random by `jitter`; the random numbers come from `seed` alone. Thread-safety: on
// its loop only.
#pragma once

#include <bitset>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/loop.h"
#include "orchestrator/node/container_runtime.h"

namespace keel::orchestrator {

struct HollowOptions {
  base::Duration start_delay = std::chrono::milliseconds(100);  // --pod-start-delay
  base::Duration run_time = std::chrono::seconds(5);            // --pod-run-time
  base::Duration stop_delay = std::chrono::milliseconds(100);   // --pod-stop-delay
  double jitter = 0.2;                                          // of each delay, either way
  double failure_rate = 0;                                      // containers that end with code 1
  uint64_t seed = 1;
  uint32_t first_node = 0;  // the node of index 0 has the addresses of this one
};

class HollowRuntime final : public ContainerRuntime {
 public:
  HollowRuntime(base::Loop& loop, HollowOptions options, std::function<absl::Time()> now);
  ~HollowRuntime() override;

  void SetEvents(Events& events) override { events_ = &events; }
  void CreateSandbox(PodHandle pod, PodContext context) override;
  void AdoptSandbox(PodHandle pod, PodContext context, std::string_view ip) override;
  void StartContainer(PodHandle pod, size_t container, int attempt) override;
  void AdoptContainer(PodHandle pod, size_t container, absl::Time started) override;
  void StopPod(PodHandle pod, base::Duration grace) override;
  void RemovePod(PodHandle pod) override;
  std::string_view Version() const override { return "hollow://1.0"; }

  size_t pods() const { return pods_.size(); }
  // The pods of a node share 256 addresses of 10.128.0.0/9; "10.128.0.0/24" is node 0's.
  static std::string PodCidr(uint32_t node);

 private:
  struct Pod {
    uint32_t node = 0;
    int16_t address = -1;  // last byte; -1: none
    std::shared_ptr<const PodSpec> spec;
    uint32_t run = 0;  // grows when what was planned no longer holds
  };

  // Runs `step` after `delay` if the pod is still there and was not stopped meanwhile.
  void Plan(PodHandle pod, base::Duration delay, std::function<void(Events&)> step);
  void PlanReady(PodHandle handle, const Pod& pod, size_t container, base::Duration ran);
  void PlanExit(PodHandle handle, const Pod& pod, size_t container, base::Duration ran);
  base::Duration Vary(base::Duration delay);
  base::Duration SettingOr(const Pod& pod, std::string_view name, base::Duration otherwise) const;
  std::string TakeAddress(Pod& pod, int wanted);

  base::Loop& loop_;
  const HollowOptions options_;
  const std::function<absl::Time()> now_;
  Events* events_ = nullptr;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::mt19937_64 random_;
  absl::flat_hash_map<PodHandle, Pod> pods_;
  struct Addresses {
    std::bitset<256> used;
    uint8_t next = 2;
  };
  absl::flat_hash_map<uint32_t, Addresses> addresses_;  // by node
};

}  // namespace keel::orchestrator
