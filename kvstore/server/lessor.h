// The clock of the leases. The log decides which leases exist (LeaseTable);
// this decides when they have run out.
//
// Only the leader keeps time. A new leader gives every lease what was left at
// its last checkpoint (or all of its TTL) and one election timeout more, for
// its clients could not renew meanwhile. When a lease has run out the leader
// proposes its revocation, again and again until it has happened. Every few
// minutes it writes what is left of long leases to the log, so that a change
// of leader does not prolong them for ever.
//
//   lessor.OnGranted(lease);                      // from apply, posted to the loop
//   lessor.Lead(term);
//   std::optional<int64_t> ttl = lessor.Renew(id);
//
// Time is base::Loop's alone. Thread-safety: everything on the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "base/loop.h"
#include "kvstore/apply/leases.h"

namespace keel::kvstore {

inline constexpr int64_t kMaxLeaseTtl = 9'000'000'000;  // seconds

class Lessor {
 public:
  struct Options {
    base::Loop* loop = nullptr;
    base::Duration election{};  // given on top by a new leader
    base::Duration checkpoint_interval = std::chrono::minutes(5);
    // A revocation or checkpoint that had no effect is proposed again after this.
    base::Duration retry = std::chrono::seconds(3);
    // Proposals, void in any other term than the one it leads in: a successor may have renewed
    // the lease. What becomes of them shows in OnRevoked and OnCheckpointed.
    std::function<void(int64_t id, uint64_t term)> revoke;
    std::function<void(const std::vector<Lease>&, uint64_t term)> checkpoint;
  };

  explicit Lessor(Options options);

  // The table changed: from the apply loop, in the order of the log.
  void OnGranted(const Lease& lease);
  void OnRevoked(int64_t id);
  void OnCheckpointed(const Lease& lease);
  // Everything was replaced (start, or a snapshot).
  void Assign(const std::vector<Lease>& leases);

  // This member leads in `term`; it ceases to lead.
  void Lead(uint64_t term);
  void Follow();

  // Starts the lease's time anew and returns its TTL, in seconds; nullopt when
  // there is no such lease or it has run out. REQUIRES: leads().
  std::optional<int64_t> Renew(int64_t id);
  // Whole seconds left, and 0 when it has run out. REQUIRES: leads().
  std::optional<int64_t> Remaining(int64_t id) const;

  // Proposes what is due; called regularly (a few times a second).
  void Tick();

  bool leads() const { return leads_; }
  size_t size() const { return leases_.size(); }
  uint64_t expired_total() const { return expired_total_; }
  uint64_t renewed_total() const { return renewed_total_; }

 private:
  struct Timed {
    Lease lease;
    base::TimePoint expiry;           // while leading
    base::TimePoint next_checkpoint;  // while leading; max() for short leases
    bool revoking = false;
  };
  struct Due {
    base::TimePoint at;
    int64_t id;
    bool operator>(const Due& other) const {
      return std::tie(at, id) > std::tie(other.at, other.id);
    }
  };
  using Queue = std::priority_queue<Due, std::vector<Due>, std::greater<>>;

  void Start(Timed& timed, base::Duration extra);
  void ScheduleCheckpoint(Timed& timed);

  const Options options_;
  bool leads_ = false;
  uint64_t term_ = 0;  // while leading
  absl::flat_hash_map<int64_t, Timed> leases_;
  // Entries may be stale: the lease's own times decide. A renewal does not touch
  // the queue; the entry is put back when it comes up early.
  Queue expiries_;
  Queue checkpoints_;
  uint64_t expired_total_ = 0;
  uint64_t renewed_total_ = 0;
};

}  // namespace keel::kvstore
