// The frame that every controller stands in, and the one list of them.
//
//   class JobController final : public Controller {
//    public:
//     explicit JobController(ControllerContext& context);  // makes informers, adds handlers
//     void Start() override;                               // starts its informers; then reconciles
//   };
//   // controller_list.cc:
//   {"job", [](ControllerContext& c) { return std::make_unique<JobController>(c); }},
//
// A controller is a pure function from what the caches hold to a list of actions, in a file of its
// own, and a thin shell that watches, queues keys and carries the actions out. Its handlers do
// nothing but queue keys. It may be killed at any moment and must find its way from the caches
// alone.
//
// Thread-safety: everything on one loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "orchestrator/client/api_client.h"
#include "orchestrator/client/event_recorder.h"
#include "orchestrator/controllers/pod_cache.h"
#include "orchestrator/controllers/shared_informers.h"

namespace keel::orchestrator {

struct ControllerContext {
  ApiClient& client;
  base::Loop& loop;
  // Started by the frame; handlers are added in constructors of controllers.
  PodCache& pods;
  SharedInformers& shared;
  EventRecorder& events;
  std::function<absl::Time()> now;  // wall clock
  // --concurrent-deployment-syncs and like: by the flag's middle ("deployment"); `otherwise` when
  // it was not given.
  std::function<size_t(std::string_view, size_t otherwise)> concurrency =
      [](std::string_view, size_t otherwise) { return otherwise; };
  // Other flags by name; empty when not given ("root-ca-file", "terminated-pod-gc-threshold", ...).
  std::function<std::string(std::string_view)> flag = [](std::string_view) {
    return std::string();
  };

  int64_t now_seconds() const { return absl::ToUnixSeconds(now()); }
};

class Controller {
 public:
  virtual ~Controller() = default;
  // Once; when the cache of pods and the shared informers hold their whole lists.
  virtual void Start() = 0;
};

struct ControllerEntry {
  std::string name;  // as --controllers names it: Kubernetes' "replicaset-controller", ...
  std::function<std::unique_ptr<Controller>(ControllerContext&)> make;
};
// All of them, in the order in which they start (controller_list.cc).
const std::vector<ControllerEntry>& AllControllers();

}  // namespace keel::orchestrator
