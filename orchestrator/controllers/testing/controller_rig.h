// What a controller's shell needs in a test: a fake API server, the shared caches, and hands that
// do what scheduler and node agents would.
//
//   ControllerRig rig;
//   JobController controller(rig.context);
//   rig.Start(controller);
//   rig.api.Put(kJobs, R"(...)");
//   rig.Settle();
//
// One thread.
#pragma once

#include "base/manual_loop.h"
#include "orchestrator/client/testing/fake_api.h"
#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/plan.h"

namespace keel::orchestrator {

struct ControllerRig {
  base::ManualLoop loop;
  FakeApi api{loop};
  PodCache pods{api};
  SharedInformers shared{api};
  std::function<absl::Time()> now = [this] { return api.now(); };
  EventRecorder events{api, "test", now};
  ControllerContext context{
      .client = api, .loop = loop, .pods = pods, .shared = shared, .events = events, .now = now};

  void Start(Controller& controller) {
    pods.Start([] {});
    shared.Start([] {});
    Settle();
    controller.Start();
    Settle();
  }
  // Time enough for caches and retries.
  void Settle(base::Duration time = std::chrono::seconds(1)) {
    for (int i = 0; i < 10; ++i) loop.Advance(time / 10);
  }
  void SetPhase(const json::object& pod, std::string_view phase) {
    api.Edit(kPods, NamespaceOf(pod), NameOf(pod), [&](json::object& object) {
      *Ensure(object, {"status", "phase"}) = phase;
      *Ensure(object, {"status", "conditions"}) =
          json::array{json::object{{"type", "Ready"},
                                   {"status", phase == "Running" ? "True" : "False"},
                                   {"lastTransitionTime", TimeText(api.now())}}};
    });
  }
  void RunAll() {
    for (const json::object& pod : api.All(kPods)) {
      const std::string_view phase = StringAt(pod, {"status", "phase"});
      if (phase.empty() || phase == "Pending") SetPhase(pod, "Running");
    }
  }
  // What is told about an object of that name, oldest first.
  std::vector<std::string> Reasons(std::string_view name) {
    std::vector<std::string> reasons;
    for (const json::object& event : api.All({"", "v1", "events"})) {
      if (StringAt(event, {"involvedObject", "name"}) == name) {
        reasons.emplace_back(StringAt(event, {"reason"}));
      }
    }
    return reasons;
  }
};

}  // namespace keel::orchestrator
