#include "orchestrator/controllers/manager.h"

#include "base/log.h"

namespace keel::orchestrator {

ControllerManager::ControllerManager(ApiClient& client, ControllerManagerOptions options)
    : client_(client),
      pods_(client_),
      shared_(client_),
      events_(client_, "controller-manager", options.now),
      context_{.client = client_,
               .loop = client.loop(),
               .pods = pods_,
               .shared = shared_,
               .events = events_,
               .now = options.now,
               .concurrency = options.concurrency,
               .flag = options.flag} {
  for (const ControllerEntry& entry : AllControllers()) {
    if (options.is_enabled(entry.name)) controllers_.emplace_back(entry.name, entry.make(context_));
  }
}

void ControllerManager::Start() {
  pods_.Start([this] { OneSynced(); });
  shared_.Start([this] { OneSynced(); });
}

void ControllerManager::OneSynced() {
  if (--waiting_ > 0) return;
  base::Log().info("caches are full, controllers start pods={} controllers={}", pods_.size(),
                   controllers_.size());
  working_ = true;
  for (auto& [name, controller] : controllers_) {
    base::Log().debug("starts {}", name);
    controller->Start();
  }
}

}  // namespace keel::orchestrator
