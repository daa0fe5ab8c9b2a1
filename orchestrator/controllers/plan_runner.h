// Carries out what a reconcile wants (plan.h) and writes the object's new status.
//
//   PlanRunner runner(context, {"apps", "v1", "replicasets"}, "ReplicaSet",
//                     "replicaset-controller", &expectations_);
//   runner.Run(set, std::move(plan), std::move(done));   // done with the first error
//
// Requests go out in the plan's order; neighbours of one verb and resource go together. Creates
// start slowly: 1, then 2, 4, 8 at once as long as none fails, so that what is refused is refused
// once and not a thousand times; after a failure what is left of the plan's requests is dropped.
// With expectations, creations and deletions of pods are expected under the object's key before
// they are sent. Thread-safety: on the client's loop only; done is never called inside Run.
#pragma once

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/expectations.h"
#include "orchestrator/controllers/plan.h"

namespace keel::orchestrator {

class PlanRunner {
 public:
  PlanRunner(ControllerContext& context, Resource resource, std::string kind, std::string component,
             Expectations* expectations = nullptr);
  ~PlanRunner();  // What was sent is sent; no callback follows.

  // `object` as the plan was made of it; copied.
  void Run(const json::object& object, Plan plan, absl::AnyInvocable<void(absl::Status)> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

Resource ResourceOf(const ResourceRef& ref);
// The merge patch that makes `before` into `after`, one level deep: members that differ whole, null
// for those that are gone. Empty when they are equal.
json::object ShallowPatch(const json::object& before, const json::object& after);

}  // namespace keel::orchestrator
