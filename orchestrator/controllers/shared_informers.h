// Caches of whole objects that several controllers read: one informer for each kind, however many
// ask for it. For kinds of which there are few (thousands); pods have a cache of their own.
//
//   Informer<RawObject>& sets = context.shared.Get({"apps", "v1", "replicasets"});   // constructor
//   sets.OnChange([this](const ObjectKey& key, const RawObject* before, const RawObject* now)
//   {...});
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "orchestrator/client/informer.h"

namespace keel::orchestrator {

class SharedInformers {
 public:
  explicit SharedInformers(ApiClient& client) : client_(client) {}

  // Made when first asked for. REQUIRES: before Start.
  Informer<RawObject>& Get(const Resource& resource) {
    auto& informer = informers_[resource];
    if (informer == nullptr) informer = std::make_unique<Informer<RawObject>>(client_, resource);
    return *informer;
  }
  // The frame does; `on_synced` once, when all hold their lists.
  void Start(std::function<void()> on_synced) {
    waiting_ = informers_.size() + 1;
    on_synced_ = std::move(on_synced);
    for (auto& [resource, informer] : informers_) {
      informer->Start([this] { OneSynced(); });
    }
    OneSynced();
  }

 private:
  void OneSynced() {
    if (--waiting_ == 0 && on_synced_) on_synced_();
  }

  ApiClient& client_;
  std::map<Resource, std::unique_ptr<Informer<RawObject>>> informers_;
  std::function<void()> on_synced_;
  size_t waiting_ = 0;
};

}  // namespace keel::orchestrator
