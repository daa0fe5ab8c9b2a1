// The one cache of pods that all controllers of the process share, with indexes.
//
//   context.pods.OnChange([&](const ObjectKey& key, const PodInfo* before, const PodInfo* now)
//   {...}); for (const ObjectKey& key : context.pods.OwnedBy(uid)) { const PodInfo* pod =
//   pods.Find(key); }
//
// Thread-safety: the loop of the controllers only.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/controllers/pod_info.h"

namespace keel::orchestrator {

inline const Resource kPods{"", "v1", "pods"};

class PodCache {
 public:
  explicit PodCache(ApiClient& client);

  // REQUIRES: before Start. The indexes are right already when it is called.
  void OnChange(Informer<PodInfo>::Handler handler) { informer_.OnChange(std::move(handler)); }
  void Start(std::function<void()> on_synced) { informer_.Start(std::move(on_synced)); }
  bool synced() const { return informer_.synced(); }

  const PodInfo* Find(const ObjectKey& key) const { return informer_.Find(key); }
  size_t size() const { return informer_.objects().size(); }
  const auto& objects() const { return informer_.objects(); }

  using Keys = absl::flat_hash_set<ObjectKey>;
  // Pods whose controller is `uid`. All sets last until the next change.
  const Keys& OwnedBy(std::string_view uid) const { return At(by_owner_, uid); }
  // Pods of that namespace that no controller owns.
  const Keys& Orphans(std::string_view ns) const { return At(orphans_, ns); }
  const Keys& InNamespace(std::string_view ns) const { return At(by_namespace_, ns); }
  // `node` empty: those that are bound to none.
  const Keys& OnNode(std::string_view node) const { return At(by_node_, node); }

 private:
  using Index = absl::flat_hash_map<std::string, Keys>;
  static const Keys& At(const Index& index, std::string_view key);
  void Reindex(const ObjectKey& key, const PodInfo* before, const PodInfo* now);

  Informer<PodInfo> informer_;
  Index by_owner_, orphans_, by_namespace_, by_node_;
};

}  // namespace keel::orchestrator
