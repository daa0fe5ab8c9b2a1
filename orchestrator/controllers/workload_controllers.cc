#include "orchestrator/controllers/workload_controllers.h"

#include <algorithm>
#include <utility>

#include "orchestrator/controllers/cron_job_reconcile.h"
#include "orchestrator/controllers/daemon_set_reconcile.h"
#include "orchestrator/controllers/job_reconcile.h"
#include "orchestrator/controllers/stateful_set_reconcile.h"

namespace keel::orchestrator {

// ---- Jobs

JobController::JobController(ControllerContext& context)
    : WorkloadController(context, {.resource = kJobRef,
                                   .kind = "Job",
                                   .api_version = "batch/v1",
                                   .component = "job-controller",
                                   .flag = "job"}),
      orphans_(context.loop, {.workers = 8},
               [this](const ObjectKey& key, WorkQueue<ObjectKey>::Done done) {
                 Release(key, std::move(done));
               }) {
  context.pods.OnChange([this](const ObjectKey& key, const PodInfo*, const PodInfo* now) {
    if (now != nullptr && objects_.synced()) OnPod(key, *now);
  });
  objects_.OnChange([this](const ObjectKey&, const RawObject* before, const RawObject* now) {
    if (before == nullptr || now != nullptr) return;
    for (const ObjectKey& pod : context_.pods.OwnedBy(UidOf(before->object))) orphans_.Add(pod);
  });
}

void JobController::Start() {
  for (const auto& [key, pod] : context_.pods.objects()) OnPod(key, *pod);
  orphans_.Resume();
  WorkloadController::Start();
}

void JobController::OnPod(const ObjectKey& key, const PodInfo& pod) {
  ObjectKey job;
  if (pod.owner.kind == "Job" && !pod.finalizers.empty() &&
      Owner(pod.owner, pod.ns, job) == nullptr) {
    orphans_.Add(key);
  }
}

void JobController::Release(const ObjectKey& key, WorkQueue<ObjectKey>::Done done) {
  const PodInfo* pod = context_.pods.Find(key);
  ObjectKey job;
  if (pod == nullptr || pod->owner.kind != "Job" ||
      std::find(pod->finalizers.begin(), pod->finalizers.end(), kJobTrackingFinalizer) ==
          pod->finalizers.end() ||
      Owner(pod->owner, pod->ns, job) != nullptr) {
    return done(absl::OkStatus());
  }
  // The cache of jobs may be behind the cache of pods: the server says whether the job is gone.
  Request request = ReleaseJobPod(*pod);
  const std::string uid(pod->owner.uid);
  context_.client.Get(
      ResourceOf(kJobRef), pod->ns, pod->owner.name,
      [this, uid, request = std::move(request),
       done = std::move(done)](absl::StatusOr<json::value> found) mutable {
        if (found.ok() && StringAt(*found, {"metadata", "uid"}) == uid) {
          return done(absl::OkStatus());
        }
        if (!found.ok() && !IsReason(found.status(), "NotFound")) return done(found.status());
        context_.client.Patch(
            ResourceOf(kPodRef), request.ns, request.name, kMergePatch, request.body,
            [done = std::move(done)](absl::StatusOr<json::value> answer) mutable {
              done(answer.ok() || IsReason(answer.status(), "NotFound") ? absl::OkStatus()
                                                                        : answer.status());
            });
      });
}

Plan JobController::Reconcile(const ObjectKey&, const json::object& job) {
  return ReconcileJob({.job = job, .pods = PodsOf(job), .now = context_.now()});
}

// ---- Cron jobs

CronJobController::CronJobController(ControllerContext& context)
    : WorkloadController(context, {.resource = kCronJobRef,
                                   .kind = "CronJob",
                                   .api_version = "batch/v1",
                                   .component = "cronjob-controller",
                                   .flag = "cron-job",
                                   .owns_pods = false}),
      jobs_(context, kJobRef) {
  Follow(jobs_);
}

Plan CronJobController::Reconcile(const ObjectKey&, const json::object& cron_job) {
  return ReconcileCronJob(
      {.cron_job = cron_job, .jobs = jobs_.Of(UidOf(cron_job)), .now = context_.now()});
}

// ---- Daemon sets

DaemonSetController::DaemonSetController(ControllerContext& context)
    : WorkloadController(context, {.resource = kDaemonSetRef,
                                   .kind = "DaemonSet",
                                   .api_version = "apps/v1",
                                   .component = "daemonset-controller",
                                   .flag = "daemonset",
                                   .workers = 2,
                                   .gather = std::chrono::milliseconds(50)}),
      revisions_(context, kControllerRevisionRef),
      nodes_(context) {
  Follow(revisions_);
  nodes_.OnChange([this](const NodeInfo* before, const NodeInfo* now) {
    // Not for every heartbeat: for what decides whether a daemon runs there.
    if (before != nullptr && now != nullptr && before->labels == now->labels &&
        before->taints == now->taints && before->deleting == now->deleting) {
      return;
    }
    if (nodes_.synced()) QueueAll();
  });
}

void DaemonSetController::Start() {
  // Without the nodes every pod would seem to stand on one that is gone.
  nodes_.Start([this] { WorkloadController::Start(); });
}

Plan DaemonSetController::Reconcile(const ObjectKey&, const json::object& set) {
  return ReconcileDaemonSet({.set = set,
                             .pods = PodsOf(set),
                             .revisions = revisions_.Of(UidOf(set)),
                             .nodes = nodes_.All(),
                             .now = context_.now()});
}

// ---- Stateful sets

StatefulSetController::StatefulSetController(ControllerContext& context)
    : WorkloadController(context, {.resource = kStatefulSetRef,
                                   .kind = "StatefulSet",
                                   .api_version = "apps/v1",
                                   .component = "statefulset-controller",
                                   .flag = "statefulset"}),
      revisions_(context, kControllerRevisionRef),
      claims_(context.shared.Get(ResourceOf(kClaimRef))) {
  Follow(revisions_);
}

Plan StatefulSetController::Reconcile(const ObjectKey& key, const json::object& set) {
  std::vector<const json::object*> claims;
  if (!ArrayAt(set, {"spec", "volumeClaimTemplates"}).empty()) {
    for (const auto& [claim_key, claim] : claims_.objects()) {
      if (claim_key.ns == key.ns) claims.push_back(&claim->object);
    }
  }
  return ReconcileStatefulSet({.set = set,
                               .pods = PodsOf(set),
                               .claims = std::move(claims),
                               .revisions = revisions_.Of(UidOf(set)),
                               .now = context_.now()});
}

bool StatefulSetController::MayAdopt(const json::object& set, const PodInfo& pod) {
  return OrdinalOf(pod.name, NameOf(set)) >= 0;
}

}  // namespace keel::orchestrator
