#include "tests/sim/injector.h"

#include <algorithm>

#include "raft/driver/node.h"
#include "tests/sim/fault_effects.h"

namespace keel::sim {

using raft::NodeId;

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
  std::vector<NodeId> ids;
  for (const auto& member : sim_.members()) ids.push_back(member->id());
  links = LinksCut(fault, ids);
  for (const auto& [from, to] : links) network.Cut(from, to);
}

void Injector::RefreshNetwork() {
  NetworkFaults now = weather_;
  for (const auto& [number, fault] : active_) Worsen(fault, &now);
  sim_.network().set_faults(now);
}

void Injector::Refresh(SimMember& member) {
  const SimDiskOptions& usual = member.options().disk;
  DiskCondition now{.latency = usual.latency, .capacity = usual.capacity_bytes};
  for (const auto& [number, fault] : active_) {
    if (fault.member == member.id()) Worsen(fault, member.disk().used_bytes(), &now);
  }
  if (now.excuses) member.set_excused(true);
  member.disk().set_faults(now.faults);
  member.disk().set_latency(now.latency);
  member.disk().set_capacity(now.capacity);
}

}  // namespace keel::sim
