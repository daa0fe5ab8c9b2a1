#include "orchestrator/controllers/pod_cache.h"

#include "base/strings.h"

namespace keel::orchestrator {
namespace {

void Drop(absl::flat_hash_map<std::string, PodCache::Keys>& index, std::string_view at,
          const ObjectKey& key) {
  auto found = index.find(base::ToAbsl(at));
  if (found == index.end()) return;
  found->second.erase(key);
  if (found->second.empty()) index.erase(found);
}

}  // namespace

PodCache::PodCache(ApiClient& client) : informer_(client, kPods, {.page_size = 500}) {
  informer_.OnChange([this](const ObjectKey& key, const PodInfo* before, const PodInfo* now) {
    Reindex(key, before, now);
  });
}

const PodCache::Keys& PodCache::At(const Index& index, std::string_view key) {
  static const Keys kNone;
  auto found = index.find(base::ToAbsl(key));
  return found == index.end() ? kNone : found->second;
}

void PodCache::Reindex(const ObjectKey& key, const PodInfo* before, const PodInfo* now) {
  const auto move = [&](Index& index, std::string_view from, std::string_view to, bool was,
                        bool is) {
    if (was && is && from == to) return;
    if (was) Drop(index, from, key);
    if (is) index[std::string(to)].insert(key);
  };
  const std::string_view owner_before =
      before == nullptr ? "" : std::string_view(before->owner.uid);
  const std::string_view owner_now = now == nullptr ? "" : std::string_view(now->owner.uid);
  move(by_owner_, owner_before, owner_now, !owner_before.empty(), !owner_now.empty());
  move(orphans_, key.ns, key.ns, before != nullptr && owner_before.empty(),
       now != nullptr && owner_now.empty());
  move(by_namespace_, key.ns, key.ns, before != nullptr, now != nullptr);
  move(by_node_, before == nullptr ? "" : std::string_view(before->node),
       now == nullptr ? "" : std::string_view(now->node), before != nullptr, now != nullptr);
}

}  // namespace keel::orchestrator
