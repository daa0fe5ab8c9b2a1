// One copy of values that many objects have alike.
//
//   std::shared_ptr<const std::vector<OwnerRef>> owners = Interned(ToJson(list), OwnersOf(pod));
//
// Values live as long as somebody holds them. Thread-safety: the loop of the controllers only.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace keel::orchestrator {

// `text` stands for the value: each type has a pool of its own, by texts.
template <typename T>
std::shared_ptr<const T> Interned(const std::string& text, T value) {
  static auto& pool = *new absl::flat_hash_map<std::string, std::weak_ptr<const T>>;
  static size_t sweep_at = 1024;
  std::weak_ptr<const T>& known = pool[text];
  if (auto shared = known.lock()) return shared;
  auto shared = std::make_shared<const T>(std::move(value));
  known = shared;
  if (pool.size() >= sweep_at) {
    absl::erase_if(pool, [](const auto& entry) { return entry.second.expired(); });
    sweep_at = std::max<size_t>(1024, pool.size() * 2);
  }
  return shared;
}

}  // namespace keel::orchestrator
