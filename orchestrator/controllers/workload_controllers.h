// The controllers of jobs, cron jobs, daemon sets and stateful sets: shells over job_reconcile.h,
// cron_job_reconcile.h, daemon_set_reconcile.h and stateful_set_reconcile.h.
//
//   auto controller = std::make_unique<JobController>(context);
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include "orchestrator/controllers/node_cache.h"
#include "orchestrator/controllers/workload_controller.h"

namespace keel::orchestrator {

class JobController final : public WorkloadController {
 public:
  explicit JobController(ControllerContext& context);
  void Start() override;

 private:
  Plan Reconcile(const ObjectKey& key, const json::object& job) override;
  void OnPod(const ObjectKey& key, const PodInfo& pod);
  // Takes the finalizer from a pod whose job is gone.
  void Release(const ObjectKey& key, WorkQueue<ObjectKey>::Done done);

  WorkQueue<ObjectKey> orphans_;
};

class CronJobController final : public WorkloadController {
 public:
  explicit CronJobController(ControllerContext& context);

 private:
  Plan Reconcile(const ObjectKey& key, const json::object& cron_job) override;

  OwnedIndex jobs_;
};

class DaemonSetController final : public WorkloadController {
 public:
  explicit DaemonSetController(ControllerContext& context);
  void Start() override;

 private:
  Plan Reconcile(const ObjectKey& key, const json::object& set) override;

  OwnedIndex revisions_;
  NodeCache nodes_;
};

class StatefulSetController final : public WorkloadController {
 public:
  explicit StatefulSetController(ControllerContext& context);

 private:
  Plan Reconcile(const ObjectKey& key, const json::object& set) override;
  bool MayAdopt(const json::object& set, const PodInfo& pod) override;

  OwnedIndex revisions_;
  Informer<RawObject>& claims_;
};

}  // namespace keel::orchestrator
