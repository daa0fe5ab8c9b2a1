// The controllers of PersistentVolumeClaims and PersistentVolumes: shells over volume_binding.h.
//
//   auto claims = std::make_unique<ClaimController>(context);
//   auto volumes = std::make_unique<VolumeController>(context);
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include "orchestrator/controllers/volume_binding.h"
#include "orchestrator/controllers/workload_controller.h"

namespace keel::orchestrator {

class ClaimController final : public WorkloadController {
 public:
  explicit ClaimController(ControllerContext& context);

 private:
  Plan Reconcile(const ObjectKey& key, const json::object& claim) override;
  const json::object* ClassFor(const json::object& claim) const;

  Informer<RawObject>&volumes_, &classes_;
};

class VolumeController final : public WorkloadController {
 public:
  explicit VolumeController(ControllerContext& context);

 private:
  Plan Reconcile(const ObjectKey& key, const json::object& volume) override;

  Informer<RawObject>& claims_;
};

}  // namespace keel::orchestrator
