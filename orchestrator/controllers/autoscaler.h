// How many replicas a HorizontalPodAutoscaler asks for: pure functions, and the memory they need.
//
//   AutoscalerMemory memory;                                   // one for each autoscaler
//   Autoscaled r = ReconcileAutoscaler({.hpa = hpa, .scale = scale, .pods = pods,
//                                       .metrics = metrics, .now = now}, memory);
//   if (r.replicas) set the scale; then r.plan (status, events)
//
// The number is what brings the metric to its target, unless that is within a tenth. Pods without a
// metric, and pods that are not ready yet, are counted so that they slow the change and never
// reverse it. Proposals of several metrics: the highest. What the last minutes asked for, and how
// much the last minutes changed, bound the step (spec.behavior). Source of the rules: Kubernetes'
// documentation of autoscaling/v2.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "orchestrator/controllers/plan.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

struct PodUsage {
  int64_t cpu_milli = 0;
  int64_t memory_bytes = 0;
};

struct AutoscalerState {
  const json::object& hpa;
  int64_t spec_replicas = 0, status_replicas = 0;  // of the target's scale
  std::vector<const PodInfo*> pods;                // that the scale's selector selects
  // By pod; the error when there are none to be had.
  std::optional<absl::flat_hash_map<std::string, PodUsage>> usage;
  std::string usage_error;
  absl::Time now;
  // For how long a lower number must hold, where spec.behavior does not say.
  absl::Duration downscale_stabilization = absl::Minutes(5);
};

struct AutoscalerMemory {
  std::vector<std::pair<absl::Time, int64_t>> recommendations;
  std::vector<std::pair<absl::Time, int64_t>> ups, downs;  // replicas added, removed
};

struct Autoscaled {
  std::optional<int64_t> replicas;  // when the scale is to be changed
  Plan plan;
};
Autoscaled ReconcileAutoscaler(const AutoscalerState& state, AutoscalerMemory& memory);

// One metric's proposal, before bounds.
struct Proposal {
  int64_t replicas = 0;
  int64_t utilization_percent = 0;  // of requests
  int64_t average_value = 0;        // per pod, in thousandths (cpu) or bytes
};
// `target`: percent of requests, or with `by_value` a value per pod. InvalidArgument says what is
// missing.
absl::StatusOr<Proposal> ProposeByResource(const AutoscalerState& state, bool cpu, bool by_value,
                                           int64_t target, double tolerance = 0.1);

}  // namespace keel::orchestrator
