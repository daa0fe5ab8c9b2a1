// Leases against the write log: never early, not too late, all at once.
//
//   LeaseRecord lease{.id = 7};
//   lease.renewals.push_back({.invoked = t0, .returned = t1, .outcome = Outcome::kOk, .ttl = 5s});
//   Verdict v = CheckLease(lease, log, {.drift = 0.01, .end = now});
//
// Times are the simulator's true time; members' clocks may run wrong by at
// most `drift` (0.01: between 0.99 and 1.01 seconds a second). A clock that jumps is
// within the promise too: leases are kept on the leader's monotonic clock.
#pragma once

#include <set>

#include "tests/sim/check/history.h"

namespace keel::sim {

// A grant or a keepalive.
struct Renewal {
  Nanos invoked = 0;
  Nanos returned = kNever;
  Outcome outcome = Outcome::kUnknown;
  Nanos ttl = 0;  // as granted by the answer; with unknown outcome as asked for
};

struct LeaseRecord {
  int64_t id = 0;
  std::vector<Renewal> renewals;  // the grant first
  // An explicit revoke; invoked == kNever when there was none.
  Nanos revoke_invoked = kNever;
  Nanos revoke_returned = kNever;
  Outcome revoke_outcome = Outcome::kUnknown;
};

struct LeaseCheckOptions {
  double drift = 0;
  // From here to `end` the cluster was healthy without interruption.
  Nanos stable_from = kNever;
  Nanos end = 0;  // of the run
  // Once stable, an expired lease's keys are gone after at most this much more:
  // an election's worth and the round of the revoke.
  Nanos expiry_bound = 5'000'000'000;
  // Revisions written by clients: deletes in them are not the lease's doing.
  std::set<int64_t> client_revisions;
};

//  - never early: no attached key is deleted, but by a client or a revoke asked
//    for, before the TTL has passed since the last acknowledged renewal was sent;
//  - in time: once stable for a TTL and the bound, no attached key is left;
//  - at once: the revision that ends a lease deletes every key attached to it, and
//    no key is attached after it;
//  - an acknowledged revoke leaves no attached key.
Verdict CheckLease(const LeaseRecord& lease, const WriteLog& log, const LeaseCheckOptions& options);

}  // namespace keel::sim
