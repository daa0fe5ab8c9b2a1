// What a CronJob needs done: a pure function of it and its jobs.
//
//   Plan plan = ReconcileCronJob({.cron_job = cron_job, .jobs = jobs, .now = now});
//
// A job's name holds the minute for which it was scheduled, so that no time is served twice
// however often, and by whomever, this is run.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "orchestrator/controllers/plan.h"

namespace keel::orchestrator {

struct CronJobState {
  const json::object& cron_job;
  std::vector<const json::object*> jobs;  // whose controller it is
  absl::Time now;
};
Plan ReconcileCronJob(const CronJobState& state);

}  // namespace keel::orchestrator
