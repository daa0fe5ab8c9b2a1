// What a controller has asked for and not yet seen in its cache: until it has, the cache is too old
// to decide by (Kubernetes' ControllerExpectations).
//
//   expectations.Expect(key, creations, {"web-1"}, now);
//   ... pod seen:  expectations.Created(key);    ... gone: expectations.Deleted(key, "web-1");
//   ... refused:   expectations.Created(key);    // what will not come is not waited for
//   if (expectations.Satisfied(key, now)) reconcile
//
// What was not seen for five minutes is not waited for any longer. Thread-safety: none.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/loop.h"
#include "base/strings.h"
#include "orchestrator/client/informer.h"

namespace keel::orchestrator {

class Expectations {
 public:
  static constexpr base::Duration kPatience = std::chrono::minutes(5);

  // In place of what was expected before.
  void Expect(const ObjectKey& owner, int creations, std::vector<std::string> deletions,
              base::TimePoint now) {
    if (creations == 0 && deletions.empty()) {
      owners_.erase(owner);
      return;
    }
    Expected& expected = owners_[owner];
    expected.creations = creations;
    expected.deletions = {deletions.begin(), deletions.end()};
    expected.since = now;
  }
  void Created(const ObjectKey& owner) {
    auto found = owners_.find(owner);
    if (found == owners_.end()) return;
    --found->second.creations;
    Sweep(owner, found->second);
  }
  void Deleted(const ObjectKey& owner, std::string_view name) {
    auto found = owners_.find(owner);
    if (found == owners_.end()) return;
    found->second.deletions.erase(base::ToAbsl(name));
    Sweep(owner, found->second);
  }
  void Forget(const ObjectKey& owner) { owners_.erase(owner); }

  bool Satisfied(const ObjectKey& owner, base::TimePoint now) const {
    auto found = owners_.find(owner);
    return found == owners_.end() || now - found->second.since > kPatience;
  }

 private:
  struct Expected {
    int creations = 0;
    absl::flat_hash_set<std::string> deletions;
    base::TimePoint since{};
  };
  void Sweep(const ObjectKey& owner, const Expected& expected) {
    if (expected.creations <= 0 && expected.deletions.empty()) owners_.erase(owner);
  }

  absl::flat_hash_map<ObjectKey, Expected> owners_;
};

}  // namespace keel::orchestrator
