#include "kvstore/apply/leases.h"

#include <algorithm>

namespace keel::kvstore {

std::optional<Lease> LeaseTable::Find(int64_t id) const {
  base::MutexLock lock(&mutex_);
  const auto found = leases_.find(id);
  if (found == leases_.end()) return std::nullopt;
  return found->second;
}

bool LeaseTable::Contains(int64_t id) const {
  base::MutexLock lock(&mutex_);
  return leases_.contains(id);
}

std::vector<Lease> LeaseTable::List() const {
  std::vector<Lease> leases;
  {
    base::MutexLock lock(&mutex_);
    leases.reserve(leases_.size());
    for (const auto& [id, lease] : leases_) leases.push_back(lease);
  }
  std::sort(leases.begin(), leases.end(),
            [](const Lease& a, const Lease& b) { return a.id < b.id; });
  return leases;
}

size_t LeaseTable::size() const {
  base::MutexLock lock(&mutex_);
  return leases_.size();
}

void LeaseTable::Set(const Lease& lease) {
  base::MutexLock lock(&mutex_);
  leases_[lease.id] = lease;
}

void LeaseTable::Remove(int64_t id) {
  base::MutexLock lock(&mutex_);
  leases_.erase(id);
}

void LeaseTable::Assign(const std::vector<Lease>& leases) {
  base::MutexLock lock(&mutex_);
  leases_.clear();
  for (const Lease& lease : leases) leases_[lease.id] = lease;
}

}  // namespace keel::kvstore
