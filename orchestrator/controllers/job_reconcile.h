// What a Job needs done: a pure function of the job and its pods.
//
//   Plan plan = ReconcileJob({.job = job, .pods = pods, .now = now});
//
// Every pod of a job carries the finalizer batch.kubernetes.io/job-tracking, so that none can go
// uncounted. A pod that has ended is counted in three steps, each of which may be the last before
// a crash: its uid is written to status.uncountedTerminatedPods; then its finalizer is removed;
// then its uid gives way to a count (Kubernetes enhancement 2307).
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

inline constexpr std::string_view kJobTrackingFinalizer = "batch.kubernetes.io/job-tracking";

struct JobState {
  const json::object& job;
  std::vector<const PodInfo*> pods;  // whose controller it is
  absl::Time now;
};
Plan ReconcileJob(const JobState& state);

// Complete or Failed.
bool JobIsFinished(const json::object& job);
// When it became so; InfiniteFuture when it has not.
absl::Time JobFinishTime(const json::object& job);

// Takes the finalizer from a pod of a job that is gone.
Request ReleaseJobPod(const PodInfo& pod);

}  // namespace keel::orchestrator
