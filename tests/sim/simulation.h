// One run: a cluster, its clients and its faults, from one seed to a verdict.
//
//   RunResult result = Run({.seed = 42});
//   if (result.failed) printf("%s: %s\n", result.failure.rule.c_str(), ...);
//
// Faults happen in the first `length` of virtual time; then everything is
// healed, the cluster must make progress and agree within a bound, and the
// checks that need the whole history are made.
//
// Deterministic: equal options give an equal result, its hash included.
#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/member.h"
#include "tests/sim/membership.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"
#include "tests/sim/workload.h"

namespace keel::sim {

enum class Stack : uint8_t { kList, kKv, kHosts };  // the last: hosts_simulation.h

struct RunOptions {
  uint64_t seed = 1;
  Stack stack = Stack::kList;
  Nanos length = 20 * kSecond;
  // Faults by their numbers in the plan; unset: all.
  std::optional<std::set<uint32_t>> only;
  FILE* trace = nullptr;
};

struct RunResult {
  bool failed = false;
  Failure failure;
  uint64_t hash = 0;
  uint64_t events = 0;
  Nanos virtual_time = 0;
  FaultPlan plan;  // what was carried out
  std::map<std::string, uint64_t> counters;
};

RunResult Run(const RunOptions& options);
// What would go wrong in it.
FaultPlan PlanOf(const RunOptions& options);

class Injector;

class Simulation {
 public:
  explicit Simulation(const RunOptions& options);
  ~Simulation();

  RunResult Go();
  const FaultPlan& plan() const { return plan_; }

  // ---- for workload and injector

  World& world() { return world_; }
  SimNetwork& network() { return network_; }
  Oracle& oracle() { return oracle_; }
  // Members by their place, in the order in which they were made; ids from 1.
  const std::vector<std::unique_ptr<SimMember>>& members() const { return members_; }
  SimMember* Find(raft::NodeId id) const;
  // One that claims to lead, of the highest term; null when there is none.
  SimMember* Leader() const;
  // Whether the faults are over.
  bool healed() const { return healed_; }
  Membership& membership() { return membership_; }
  bool Belongs(const SimMember& member) const { return membership_.Belongs(member.id()); }
  // Members that a client would know of.
  SimMember& AnyServer();
  // A new member, empty, that waits to be added.
  void Join(raft::NodeId id);
  // What the stack wants to go along with a change of membership.
  std::string ChangeContext(const raft::ConfChange& change) {
    return workload_->ChangeContext(change);
  }
  // Whether a fault of the kind was carried out.
  bool Happened(FaultKind kind) const;

  // Loses power (or only the process), and starts again after `down`.
  void Restart(SimMember& member, SimDisk::CrashKind kind, Nanos down);
  void StartLater(SimMember& member, Nanos delay);
  // A sector of its log or store rots while it is down.
  void Damage(SimMember& member);

 private:
  SimMember& AddMember(raft::NodeId id);
  void OnDown(SimMember& member);
  bool PlansDiskFull() const;
  void Lost(SimMember& member, const absl::Status& status);
  void StartNow(SimMember& member);
  bool RunUntil(Nanos end);
  // Runs until the condition holds; fails with `rule` when it does not in time.
  bool Await(Nanos limit, const char* rule, const std::function<bool()>& condition);
  bool Agreed();
  std::string Standing();
  RunResult Result();

  const RunOptions options_;
  World world_;
  Random random_;
  raft::ConfState first_conf_;
  SimNetwork network_;
  Oracle oracle_;
  SimMemberOptions member_options_;
  std::unique_ptr<Workload> workload_;
  std::vector<std::unique_ptr<SimMember>> members_;
  Membership membership_;
  FaultPlan plan_;
  std::unique_ptr<Injector> injector_;
  bool healed_ = false;
  uint64_t lost_ = 0;
};

}  // namespace keel::sim
