// The controller of HorizontalPodAutoscalers: a shell over autoscaler.h.
//
// Every 15 seconds (--horizontal-pod-autoscaler-sync-period) each autoscaler reads its target's
// scale, and what the target's pods use, from /apis/metrics.k8s.io/v1beta1, and writes the scale.
//
//   auto controller = std::make_unique<AutoscalerController>(context);
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <memory>

#include "absl/container/flat_hash_map.h"
#include "orchestrator/client/work_queue.h"
#include "orchestrator/controllers/autoscaler.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/plan_runner.h"

namespace keel::orchestrator {

// By pod, from a PodMetricsList.
absl::flat_hash_map<std::string, PodUsage> UsageFromMetrics(const json::value& list);

class AutoscalerController final : public Controller {
 public:
  explicit AutoscalerController(ControllerContext& context);
  void Start() override;

 private:
  using Queue = WorkQueue<ObjectKey>;
  struct Turn;  // of one autoscaler

  void Tick();
  void Sync(const ObjectKey& key, Queue::Done done);
  void GotScale(const std::shared_ptr<Turn>& turn, absl::StatusOr<json::value> scale);
  void GotMetrics(const std::shared_ptr<Turn>& turn, absl::StatusOr<json::value> metrics);
  void Fail(const std::shared_ptr<Turn>& turn, std::string_view reason, std::string message);

  ControllerContext& context_;
  Informer<RawObject>& autoscalers_;
  absl::Duration period_ = absl::Seconds(15), downscale_stabilization_ = absl::Minutes(5);
  absl::flat_hash_map<ObjectKey, AutoscalerMemory> memories_;
  PlanRunner runner_;
  Queue queue_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace keel::orchestrator
