// A cluster for tests of controllers: an API server in memory, a clock that moves when told, and
// node agents that make pods run and go.
//
//   ControllerWorld world;
//   auto manager = world.Manage({"deployment-controller", "replicaset-controller"});
//   world.api.Put(...);
//   world.Settle();
//
// One thread.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/manual_loop.h"
#include "base/strings.h"
#include "orchestrator/client/testing/fake_api.h"
#include "orchestrator/controllers/manager.h"
#include "orchestrator/controllers/plan.h"

namespace keel::orchestrator {

class ControllerWorld {
 public:
  std::unique_ptr<ControllerManager> Manage(std::vector<std::string> names) {
    auto manager = std::make_unique<ControllerManager>(
        api, ControllerManagerOptions{
                 .is_enabled =
                     [names = std::move(names)](std::string_view name) {
                       return std::find(names.begin(), names.end(), name) != names.end();
                     },
                 .now = [this] { return api.now(); },
                 .flag =
                     [this](std::string_view name) {
                       return name == "root-ca-file" ? root_ca_file : std::string();
                     }});
    manager->Start();
    return manager;
  }

  static bool IsReady(const json::object& pod) { return ConditionIsTrue(pod, "Ready"); }
  static bool IsActive(const json::object& pod) {
    const std::string_view phase = StringAt(pod, {"status", "phase"});
    return phase != "Succeeded" && phase != "Failed" &&
           StringAt(pod, {"metadata", "deletionTimestamp"}).empty();
  }

  void SetReady(const json::object& pod, bool ready) {
    api.Edit(kPods, NamespaceOf(pod), NameOf(pod), [&](json::object& edited) {
      *Ensure(edited, {"spec", "nodeName"}) = "node-1";
      *Ensure(edited, {"status", "phase"}) = "Running";
      *Ensure(edited, {"status", "podIP"}) = base::StrCat("10.0.0.", ++ips_);
      *Ensure(edited, {"status", "conditions"}) =
          json::array{json::object{{"type", "Ready"},
                                   {"status", ready ? "True" : "False"},
                                   {"lastTransitionTime", TimeText(api.now())}}};
    });
  }
  // One round of what node agents do: each pod that is not ready becomes so, unless `is_broken`.
  void RunPods() {
    for (const json::object& pod : api.All(kPods)) {
      if (IsActive(pod) && !IsReady(pod) && !is_broken(pod)) SetReady(pod, true);
    }
  }
  // Until nothing happens any more.
  void Settle(int rounds = 40) {
    for (int i = 0; i < rounds; ++i) {
      loop.Advance(std::chrono::milliseconds(500));
      RunPods();
    }
    loop.RunUntilIdle();
  }

  size_t ActivePods() const {
    const auto pods = api.All(kPods);
    return static_cast<size_t>(std::count_if(pods.begin(), pods.end(), IsActive));
  }
  std::vector<std::string> EventMessages() const {
    std::vector<std::string> messages;
    for (const json::object& event : api.All({"", "v1", "events"})) {
      messages.emplace_back(StringAt(event, {"message"}));
    }
    return messages;
  }

  base::ManualLoop loop;
  FakeApi api{loop};
  std::string root_ca_file;
  std::function<bool(const json::object& pod)> is_broken = [](const json::object&) {
    return false;
  };

 private:
  int ips_ = 0;
};

}  // namespace keel::orchestrator
