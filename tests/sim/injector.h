// Carries out a fault plan on a simulation, and undoes it.
//
// Lifetime: within its simulation's.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/simulation.h"

namespace keel::sim {

class Injector {
 public:
  Injector(Simulation* simulation, NetworkFaults weather) : sim_(*simulation), weather_(weather) {}

  void Schedule(const FaultPlan& plan);
  // Ends whatever is in force, at once; nothing starts any more.
  void HealAll();
  // What a member's disk does now, for one that was given a new disk or life.
  void Refresh(SimMember& member);

  const std::map<FaultKind, uint64_t>& counts() const { return counts_; }

 private:
  void Begin(const Fault& fault);
  void End(const Fault& fault);
  void CutLinks(const Fault& fault, bool cut);
  void Flap(Fault fault, bool cut);
  void RefreshNetwork();

  Simulation& sim_;
  const NetworkFaults weather_;
  std::map<uint32_t, Fault> active_;
  std::map<uint32_t, std::vector<std::pair<raft::NodeId, raft::NodeId>>> cut_;
  std::map<FaultKind, uint64_t> counts_;
  bool over_ = false;
};

}  // namespace keel::sim
