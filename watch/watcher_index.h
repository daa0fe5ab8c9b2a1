// The groups of watchers of one shard: by key where the range is one key, in
// an interval tree else.
//
// Internal to the watch hub. Thread-safety: none.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/strings.h"
#include "watch/interval_tree.h"
#include "watch/watcher.h"

namespace keel::watch {

class WatcherIndex {
 public:
  // The group of that range; null when there is none.
  WatcherGroup* Find(const KeyRange& range) {
    if (range.single()) {
      auto it = by_key_.find(base::ToAbsl(range.key));
      return it == by_key_.end() ? nullptr : it->second.get();
    }
    std::unique_ptr<WatcherGroup>* found = by_interval_.Find(range);
    return found == nullptr ? nullptr : found->get();
  }

  WatcherGroup* FindOrAdd(const KeyRange& range) {
    if (WatcherGroup* found = Find(range)) return found;
    auto group = std::make_unique<WatcherGroup>();
    group->range = range;
    WatcherGroup* added = group.get();
    if (range.single()) {
      by_key_.emplace(range.key, std::move(group));
    } else {
      by_interval_.Insert(range, std::move(group));
    }
    return added;
  }

  // REQUIRES: the group is of this index and has no watchers left.
  void Remove(WatcherGroup* group) {
    const KeyRange range = group->range;
    if (range.single()) {
      by_key_.erase(base::ToAbsl(range.key));
    } else {
      by_interval_.Erase(range);
    }
  }

  template <typename Visit>
  void ForEachMatching(std::string_view key, Visit&& visit) const {
    if (!by_key_.empty()) {
      if (auto it = by_key_.find(base::ToAbsl(key)); it != by_key_.end()) visit(it->second.get());
    }
    by_interval_.ForEachContaining(
        key, [&](const std::unique_ptr<WatcherGroup>& group) { visit(group.get()); });
  }

 private:
  absl::flat_hash_map<std::string, std::unique_ptr<WatcherGroup>> by_key_;
  IntervalTree<std::unique_ptr<WatcherGroup>> by_interval_;
};

}  // namespace keel::watch
