// The lease that Events are written with: they go by themselves after an hour (--event-ttl).
//
// One lease for all events of a minute. Thread-safety: on the server's loop only.
#pragma once

#include <cstdint>
#include <memory>

#include "base/loop.h"
#include "orchestrator/apiserver/store.h"

namespace keel::orchestrator {

class EventLease {
 public:
  EventLease(base::Loop& loop, Store& store, int64_t ttl_seconds)
      : loop_(loop), store_(store), ttl_seconds_(ttl_seconds) {}
  ~EventLease() { *alive_ = false; }

  // Of a lease that lives for about the TTL; 0 while there is none.
  int64_t Current() {
    if (!asking_ && (lease_ == 0 || loop_.Now() - granted_ > kRenewEvery)) Ask();
    return lease_;
  }
  void Ask() {
    asking_ = true;
    store_.GrantLease(ttl_seconds_, [this, alive = alive_](absl::StatusOr<int64_t> lease) {
      if (!*alive) return;
      asking_ = false;
      if (!lease.ok()) return;
      lease_ = *lease;
      granted_ = loop_.Now();
    });
  }

 private:
  static constexpr base::Duration kRenewEvery = std::chrono::minutes(1);

  base::Loop& loop_;
  Store& store_;
  const int64_t ttl_seconds_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool asking_ = false;
  int64_t lease_ = 0;
  base::TimePoint granted_{};
};

}  // namespace keel::orchestrator
