#include "tests/sim/injector.h"

#include <algorithm>

#include "raft/driver/node.h"

namespace keel::sim {

using raft::NodeId;

namespace {

bool IsSplit(FaultKind kind) {
  return kind == FaultKind::kSplit || kind == FaultKind::kOneWay || kind == FaultKind::kRing ||
         kind == FaultKind::kBridge;
}

}  // namespace

void Injector::Schedule(const FaultPlan& plan) {
  for (const Fault& fault : plan) {
    sim_.world().At(fault.at, [this, fault] {
      if (!over_) Begin(fault);
    });
  }
}

void Injector::Begin(const Fault& fault) {
  World& world = sim_.world();
  world.Note(0, "fault %s", Describe(fault));
  ++counts_[fault.kind];
  SimMember* const member = sim_.Find(fault.member);
  switch (fault.kind) {
    case FaultKind::kCrash:
      return sim_.Restart(*member, SimDisk::CrashKind::kPower, fault.length);
    case FaultKind::kKill:
      return sim_.Restart(*member, SimDisk::CrashKind::kProcess, fault.length);
    case FaultKind::kCrashAll:
      for (const auto& each : sim_.members()) {
        sim_.Restart(*each, SimDisk::CrashKind::kPower,
                     world.random().Between(kMilli, fault.length));
      }
      return;
    case FaultKind::kCrashAtWrite:
      if (member->up()) member->disk().DieAfter(fault.value);
      return;
    case FaultKind::kPause:
      return member->Stall(world.now() + fault.length);
    case FaultKind::kClockJump:
      return member->clock().JumpAhead(static_cast<Nanos>(fault.value));
    case FaultKind::kClockRate:
      member->clock().SetRate(static_cast<int64_t>(fault.value) - (1ll << 32));
      break;
    case FaultKind::kTransfer: {
      SimMember* const leader = sim_.Leader();
      SimMember* const asked = fault.value % 4 == 0 ? member : leader;  // or by way of a follower
      if (asked == nullptr || !asked->up()) return;
      asked->loop().Post(
          [asked, to = fault.member] { asked->node().TransferLeadership(to, nullptr); });
      return;
    }
    case FaultKind::kAddMember:
    case FaultKind::kPromote:
    case FaultKind::kRemove:
    case FaultKind::kSwap:
      return sim_.membership().CarryOut(fault);
    case FaultKind::kDamage:
      sim_.Damage(*member);
      return sim_.StartLater(*member, fault.length);
    case FaultKind::kFlap:
      Flap(fault, true);
      break;
    default:
      break;
  }
  active_.emplace(fault.number, fault);
  if (IsSplit(fault.kind)) CutLinks(fault, true);
  RefreshNetwork();
  if (member != nullptr) Refresh(*member);
  world.After(fault.length, [this, fault] { End(fault); });
}

void Injector::End(const Fault& fault) {
  if (active_.erase(fault.number) == 0) return;
  sim_.world().Note(0, "fault #%d ends", fault.number);
  CutLinks(fault, false);
  RefreshNetwork();
  if (SimMember* const member = sim_.Find(fault.member)) {
    if (fault.kind == FaultKind::kClockRate) member->clock().SetRate(0);
    Refresh(*member);
  }
}

void Injector::HealAll() {
  over_ = true;
  while (!active_.empty()) End(Fault(active_.begin()->second));
  sim_.network().MendAll();
  for (const auto& member : sim_.members()) member->disk().DieAfter(0);
}

void Injector::Flap(Fault fault, bool cut) {
  World& world = sim_.world();
  const Nanos next = world.random().Between(50 * kMilli, 1200 * kMilli);
  world.After(0, [this, fault, cut] {
    if (active_.contains(fault.number)) CutLinks(fault, cut);
  });
  world.After(next, [this, fault, cut] {
    if (active_.contains(fault.number)) Flap(fault, !cut);
  });
}

void Injector::CutLinks(const Fault& fault, bool cut) {
  SimNetwork& network = sim_.network();
  auto& links = cut_[fault.number];
  for (const auto& [from, to] : links) network.Mend(from, to);
  links.clear();
  if (!cut) return;
  const auto& members = sim_.members();
  const size_t count = members.size();
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
      if (apart) links.emplace_back(members[i]->id(), members[j]->id());
    }
  }
  for (const auto& [from, to] : links) network.Cut(from, to);
}

void Injector::RefreshNetwork() {
  NetworkFaults now = weather_;
  for (const auto& [number, fault] : active_) {
    switch (fault.kind) {
      case FaultKind::kLoss:
        now.loss = std::max(now.loss, fault.rate);
        break;
      case FaultKind::kDuplicate:
        now.duplicate = std::max(now.duplicate, fault.rate);
        break;
      case FaultKind::kStraggle:
        now.straggle = std::max(now.straggle, fault.rate);
        break;
      case FaultKind::kCorrupt:
        now.corrupt = std::max(now.corrupt, fault.rate);
        break;
      case FaultKind::kBreakSnapshot:
        now.break_snapshot = std::max(now.break_snapshot, fault.rate);
        break;
      case FaultKind::kDelay:
        now.delay_max = std::max(now.delay_max, static_cast<Nanos>(fault.value));
        break;
      default:
        break;
    }
  }
  sim_.network().set_faults(now);
}

void Injector::Refresh(SimMember& member) {
  DiskFaults faults;
  DiskLatency latency = member.options().disk.latency;
  uint64_t capacity = member.options().disk.capacity_bytes;
  for (const auto& [number, fault] : active_) {
    if (fault.member != member.id()) continue;
    const auto ppm = static_cast<uint32_t>(fault.rate * 1e6);
    switch (fault.kind) {
      case FaultKind::kSlowDisk:
        latency.factor = std::max(latency.factor, static_cast<double>(fault.value));
        break;
      case FaultKind::kStallDisk:
        faults.stall_ppm = ppm;
        faults.stall_ns = fault.value;
        break;
      case FaultKind::kDiskErrors:
        faults.write_error_ppm = faults.sync_error_ppm = faults.name_error_ppm = ppm;
        member.set_excused(true);
        break;
      case FaultKind::kDiskFull:
        capacity = std::min(capacity, member.disk().used_bytes());
        member.set_excused(true);
        break;
      default:
        break;
    }
  }
  member.disk().set_faults(faults);
  member.disk().set_latency(latency);
  member.disk().set_capacity(capacity);
}

}  // namespace keel::sim
