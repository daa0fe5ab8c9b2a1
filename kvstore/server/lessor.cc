#include "kvstore/server/lessor.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutation.h"

namespace keel::kvstore {

namespace {

// Of one tick: so that a pile of leases that ran out at once does not fill the log.
constexpr size_t kMaxRevocationsPerTick = 500;
constexpr size_t kMaxCheckpointsPerTick = 1000;

base::Duration Seconds(int64_t seconds) {
  // The greatest TTL is about what nanoseconds can count.
  return std::chrono::seconds(std::min(seconds, kMaxLeaseTtl));
}

int64_t LeftSeconds(base::Duration left) {
  return std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(left).count());
}

}  // namespace

Lessor::Lessor(Options options) : options_(std::move(options)) {
  KEEL_CHECK(options_.loop != nullptr && options_.revoke && options_.checkpoint);
}

void Lessor::Start(Timed& timed, base::Duration extra) {
  int64_t ttl = timed.lease.remaining_ttl > 0 ? timed.lease.remaining_ttl : timed.lease.granted_ttl;
  if (KEEL_MUTATION(kLeaseExpiresEarly)) ttl /= 2;
  timed.revoking = false;
  timed.expiry = options_.loop->Now() + Seconds(ttl) + extra;
  expiries_.push({timed.expiry, timed.lease.id});
  ScheduleCheckpoint(timed);
}

void Lessor::ScheduleCheckpoint(Timed& timed) {
  const base::TimePoint now = options_.loop->Now();
  if (timed.expiry - now <= options_.checkpoint_interval) {
    timed.next_checkpoint = base::TimePoint::max();
    return;
  }
  timed.next_checkpoint = now + options_.checkpoint_interval;
  checkpoints_.push({timed.next_checkpoint, timed.lease.id});
}

void Lessor::OnGranted(const Lease& lease) {
  Timed& timed = leases_[lease.id];
  timed.lease = lease;
  if (leads_) Start(timed, base::Duration::zero());
}

void Lessor::OnRevoked(int64_t id) { leases_.erase(id); }

void Lessor::OnCheckpointed(const Lease& lease) {
  const auto it = leases_.find(lease.id);
  if (it == leases_.end()) return;
  it->second.lease.remaining_ttl = lease.remaining_ttl;
  if (leads_) ScheduleCheckpoint(it->second);
}

void Lessor::Assign(const std::vector<Lease>& leases) {
  leases_.clear();
  for (const Lease& lease : leases) leases_[lease.id].lease = lease;
  if (leads_) {
    leads_ = false;
    Lead(term_);
  }
}

void Lessor::Lead(uint64_t term) {
  // In another term without a word that it followed in between: somebody else may have led.
  if (leads_ && term == term_) return;
  leads_ = true;
  term_ = term;
  expiries_ = Queue();
  checkpoints_ = Queue();
  for (auto& [id, timed] : leases_) Start(timed, options_.election);
}

void Lessor::Follow() {
  leads_ = false;
  if (KEEL_MUTATION(kFollowerExpires)) return;
  expiries_ = Queue();
  checkpoints_ = Queue();
}

std::optional<int64_t> Lessor::Renew(int64_t id) {
  KEEL_CHECK(leads_);
  const auto it = leases_.find(id);
  if (it == leases_.end()) return std::nullopt;
  Timed& timed = it->second;
  const base::TimePoint now = options_.loop->Now();
  if (timed.revoking || timed.expiry <= now) return std::nullopt;
  if (timed.lease.remaining_ttl > 0) {
    // The checkpoint would cut the renewed time short after a change of leader.
    if (!KEEL_MUTATION(kRenewKeepsCheckpoint)) timed.lease.remaining_ttl = 0;
    options_.checkpoint({timed.lease}, term_);
  }
  const base::TimePoint expiry = now + Seconds(timed.lease.granted_ttl);
  // Its queue entry is for an earlier time and will be put back then; after a
  // shortening (an extension by a new leader has ended) a new one is needed.
  if (expiry < timed.expiry) expiries_.push({expiry, id});
  timed.expiry = expiry;
  ++renewed_total_;
  return timed.lease.granted_ttl;
}

std::optional<int64_t> Lessor::Remaining(int64_t id) const {
  KEEL_CHECK(leads_);
  const auto it = leases_.find(id);
  if (it == leases_.end()) return std::nullopt;
  return LeftSeconds(it->second.expiry - options_.loop->Now());
}

void Lessor::Tick() {
  if (!leads_ && !KEEL_MUTATION(kFollowerExpires)) return;
  const base::TimePoint now = options_.loop->Now();
  for (size_t revoked = 0;
       revoked < kMaxRevocationsPerTick && !expiries_.empty() && expiries_.top().at <= now;) {
    const Due due = expiries_.top();
    expiries_.pop();
    const auto it = leases_.find(due.id);
    if (it == leases_.end()) continue;
    Timed& timed = it->second;
    if (timed.expiry > now) {
      if (KEEL_MUTATION(kExpiryForgotten)) continue;
      expiries_.push({timed.expiry, due.id});
      continue;
    }
    if (!timed.revoking) ++expired_total_;
    timed.revoking = true;
    expiries_.push({now + options_.retry, due.id});
    options_.revoke(due.id, term_);
    ++revoked;
  }

  std::vector<Lease> left;
  while (left.size() < kMaxCheckpointsPerTick && !checkpoints_.empty() &&
         checkpoints_.top().at <= now) {
    const Due due = checkpoints_.top();
    checkpoints_.pop();
    const auto it = leases_.find(due.id);
    if (it == leases_.end() || it->second.next_checkpoint > now || it->second.revoking) continue;
    Timed& timed = it->second;
    ScheduleCheckpoint(timed);
    Lease lease = timed.lease;
    lease.remaining_ttl = LeftSeconds(timed.expiry - now);
    if (lease.remaining_ttl > 0 && lease.remaining_ttl < lease.granted_ttl) left.push_back(lease);
  }
  if (!left.empty()) options_.checkpoint(left, term_);
}

}  // namespace keel::kvstore
