// What a fault does to links, messages and disks, whoever carries it out.
//
// Pure functions.
#pragma once

#include <utility>
#include <vector>

#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/network.h"

namespace keel::sim {

// Partitions, but kFlap, which is a kSplit that comes and goes.
bool IsSplit(FaultKind kind);
// The directed links between `ids`, in their order, that a partition cuts.
std::vector<std::pair<raft::NodeId, raft::NodeId>> LinksCut(const Fault& fault,
                                                            const std::vector<raft::NodeId>& ids);

// Without effect for kinds that are not about messages.
void Worsen(const Fault& fault, NetworkFaults* weather);

struct DiskCondition {
  DiskFaults faults;
  DiskLatency latency;
  uint64_t capacity = 0;
  bool excuses = false;  // a member may stop because of it
};
// Without effect for kinds that are not about disks. `used`: bytes on it now.
void Worsen(const Fault& fault, uint64_t used, DiskCondition* condition);

}  // namespace keel::sim
