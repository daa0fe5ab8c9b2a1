// The replicated part of leases: which exist, their time to live, and what was
// left of it at the last checkpoint. Time itself is the server's: it starts a
// clock on OnLeaseGranted and proposes a revoke when it has run out. The keys
// attached stand on disk (ReadView::LeaseKeys).
//
// Thread-safety: the const methods may be called from any thread, the others
// only on the apply loop.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"

namespace keel::kvstore {

struct Lease {
  int64_t id = 0;
  int64_t granted_ttl = 0;    // seconds
  int64_t remaining_ttl = 0;  // seconds at the last checkpoint; 0: there was none

  bool operator==(const Lease&) const = default;
};

class LeaseTable {
 public:
  std::optional<Lease> Find(int64_t id) const;
  bool Contains(int64_t id) const;
  std::vector<Lease> List() const;  // by id
  size_t size() const;

  void Set(const Lease& lease);
  void Remove(int64_t id);
  void Assign(const std::vector<Lease>& leases);

 private:
  mutable base::Mutex mutex_;
  absl::flat_hash_map<int64_t, Lease> leases_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keel::kvstore
