// What goes wrong in a run: a list of timed faults, derived from the seed. Each
// run switches a random subset of the kinds on, at random rates (swarm testing,
// Groce et al., ISSTA 2012), so that no kind hides what another would show.
//
//   FaultPlan plan = DerivePlan(seed, {.members = {1, 2, 3}, .length = 20 * kSecond});
//   for (const Fault& f : plan) puts(Describe(f).c_str());
//   plan = Only(plan, {3, 7});           // to shrink: the others keep their numbers
//
// Pure values.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "raft/core/types.h"
#include "tests/sim/check/history.h"

namespace keel::sim {

enum class FaultKind : uint8_t {
  kLoss,           // messages are lost, `rate` of them
  kDuplicate,      // … arrive twice
  kStraggle,       // … arrive up to two seconds late, overtaken by others
  kCorrupt,        // … with a bit flipped
  kDelay,          // each takes up to `value` nanoseconds
  kBreakSnapshot,  // snapshot streams end in the middle
  kSplit,          // the members in mask `value` apart from the others
  kOneWay,         // nothing from those in the mask reaches the others
  kRing,           // each reaches only its neighbours in the order of ids
  kBridge,         // two halves that share only one member
  kFlap,           // the split of the mask comes and goes
  kCrash,          // `member` loses power and starts again after `length`
  kKill,           // the same, but the operating system lives on
  kCrashAtWrite,   // at the `value`-th change of its disk
  kCrashAll,       // all at once
  kPause,          // nothing of the member runs
  kSlowDisk,       // `value` times slower
  kStallDisk,      // single operations take `value` nanoseconds
  kDiskErrors,     // `rate` of its writes, syncs, changes of names
  kDiskFull,       // no room beyond what is used
  kDamage,         // a sector of its log or store rots while it is down
  kClockRate,      // its clock is off by `value` - 2^32 ppm
  kClockJump,      // its clock jumps ahead by `value` nanoseconds
  kTransfer,       // leadership to `member`
  kAddMember,      // a spare joins, as learner when `value` is odd
  kPromote,        // a learner becomes voter
  kRemove,         // `member` leaves
  kSwap,           // `member` leaves and a spare joins, in one joint change
  kCount,
};

struct Fault {
  uint32_t number = 0;  // in its plan
  FaultKind kind = FaultKind::kLoss;
  Nanos at = 0;
  Nanos length = 0;
  raft::NodeId member = raft::kNoNode;
  uint64_t value = 0;
  double rate = 0;
};

using FaultPlan = std::vector<Fault>;

struct PlanOptions {
  std::vector<raft::NodeId> members;
  Nanos length = 0;           // faults begin before this moment, and end before it too
  std::set<FaultKind> kinds;  // that may occur
};

FaultPlan DerivePlan(uint64_t seed, const PlanOptions& options);
FaultPlan Only(const FaultPlan& plan, const std::set<uint32_t>& numbers);
const char* Name(FaultKind kind);
std::string Describe(const Fault& fault);

}  // namespace keel::sim
