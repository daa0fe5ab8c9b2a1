#include "tests/sim/fault_effects.h"

#include <algorithm>

namespace keel::sim {

bool IsSplit(FaultKind kind) {
  return kind == FaultKind::kSplit || kind == FaultKind::kOneWay || kind == FaultKind::kRing ||
         kind == FaultKind::kBridge;
}

std::vector<std::pair<raft::NodeId, raft::NodeId>> LinksCut(const Fault& fault,
                                                            const std::vector<raft::NodeId>& ids) {
  std::vector<std::pair<raft::NodeId, raft::NodeId>> links;
  const size_t count = ids.size();
  const auto in_mask = [&](size_t place) { return (fault.value >> place & 1) != 0; };
  // The bridge: the first member outside of the mask reaches everybody.
  size_t bridge = 0;
  while (bridge < count && in_mask(bridge)) ++bridge;
  for (size_t i = 0; i < count; ++i) {
    for (size_t j = 0; j < count; ++j) {
      if (i == j) continue;
      bool apart = in_mask(i) != in_mask(j);
      switch (fault.kind) {
        case FaultKind::kOneWay:
          apart = in_mask(i) && !in_mask(j);
          break;
        case FaultKind::kRing:
          apart = (i + 1) % count != j && (j + 1) % count != i;
          break;
        case FaultKind::kBridge:
          apart = apart && i != bridge && j != bridge;
          break;
        default:
          break;
      }
      if (apart) links.emplace_back(ids[i], ids[j]);
    }
  }
  return links;
}

void Worsen(const Fault& fault, NetworkFaults* weather) {
  const auto rise = [&](double& chance) { chance = std::max(chance, fault.rate); };
  switch (fault.kind) {
    case FaultKind::kLoss:
      return rise(weather->loss);
    case FaultKind::kDuplicate:
      return rise(weather->duplicate);
    case FaultKind::kStraggle:
      return rise(weather->straggle);
    case FaultKind::kCorrupt:
      return rise(weather->corrupt);
    case FaultKind::kBreakSnapshot:
      return rise(weather->break_snapshot);
    case FaultKind::kDelay:
      weather->delay_max = std::max(weather->delay_max, static_cast<Nanos>(fault.value));
      return;
    default:
      return;
  }
}

void Worsen(const Fault& fault, uint64_t used, DiskCondition* condition) {
  const auto ppm = static_cast<uint32_t>(fault.rate * 1e6);
  DiskFaults& faults = condition->faults;
  switch (fault.kind) {
    case FaultKind::kSlowDisk:
      condition->latency.factor =
          std::max(condition->latency.factor, static_cast<double>(fault.value));
      return;
    case FaultKind::kStallDisk:
      faults.stall_ppm = ppm;
      faults.stall_ns = fault.value;
      return;
    case FaultKind::kDiskErrors:
      faults.write_error_ppm = faults.sync_error_ppm = faults.name_error_ppm = ppm;
      condition->excuses = true;
      return;
    case FaultKind::kDiskFull:
      condition->capacity = std::min(condition->capacity, used);
      condition->excuses = true;
      return;
    default:
      return;
  }
}

}  // namespace keel::sim
