// All controllers of one process: made together, started when the shared caches are full.
//
//   ControllerManager manager(client, {.is_enabled = ..., .now = absl::Now});
//   manager.Start();     // once this instance leads
//
// Thread-safety: on the client's loop only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/controllers/controller.h"
#include "orchestrator/controllers/scoped_client.h"

namespace keel::orchestrator {

struct ControllerManagerOptions {
  std::function<bool(std::string_view)> is_enabled = [](std::string_view) { return true; };
  std::function<absl::Time()> now{};
  std::function<size_t(std::string_view, size_t)> concurrency = [](std::string_view, size_t n) {
    return n;
  };
  std::function<std::string(std::string_view)> flag = [](std::string_view) {
    return std::string();
  };
};

class ControllerManager {
 public:
  ControllerManager(ApiClient& client, ControllerManagerOptions options);

  void Start();
  // Whether the caches are full and the controllers work.
  bool working() const { return working_; }
  size_t controllers() const { return controllers_.size(); }
  const PodCache& pods() const { return pods_; }

 private:
  void OneSynced();

  ScopedClient client_;
  PodCache pods_;
  SharedInformers shared_;
  EventRecorder events_;
  ControllerContext context_;
  std::vector<std::pair<std::string, std::unique_ptr<Controller>>> controllers_;
  int waiting_ = 2;
  bool working_ = false;
};

}  // namespace keel::orchestrator
