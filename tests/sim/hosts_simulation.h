// A run of hosts of many groups (raft::Host): one log, one transport and one
// tick wheel a host, and Raft's checkers for each group. What Simulation is for
// members of one group.
//
//   RunResult result = RunHosts({.seed = 42, .stack = Stack::kHosts});
//
// Faults strike hosts: all their groups at once. Besides Raft's safety and the
// groups' progress it checks that what is proposed in a group stays in it, and
// that every group falls asleep (quiesces) once nothing is asked any more.
//
// Deterministic: equal options give an equal result, its hash included.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/fault_effects.h"
#include "tests/sim/host_member.h"
#include "tests/sim/oracle.h"
#include "tests/sim/simulation.h"

namespace keel::sim {

RunResult RunHosts(const RunOptions& options);
FaultPlan HostsPlanOf(const RunOptions& options);

class HostsClients;

class HostsSimulation final : public HostListener {
 public:
  explicit HostsSimulation(const RunOptions& options);
  ~HostsSimulation() override;

  RunResult Go();
  const FaultPlan& plan() const { return plan_; }

  // ---- for the clients

  struct Group {
    SimGroup setup;
    std::unique_ptr<RaftChecker> checker;
    raft::Index acknowledged = 0;  // clients were told that their write is at this index
    std::set<raft::NodeId> asked;  // hosts that are or were to be members
    raft::ConfState conf;          // of the highest index that anybody applied
    raft::Index conf_index = 0;
  };
  World& world() { return world_; }
  SimNetwork& network() { return network_; }
  std::vector<Group>& groups() { return groups_; }
  SimHost& host(raft::NodeId id) { return *hosts_[id - 1]; }
  // The first failure stays.
  void Fail(std::string rule, std::string text);

  // ---- HostListener
  RaftChecker& CheckerOf(raft::GroupId group) override { return *groups_[group - 1].checker; }
  void OnApplied(SimHost& host, raft::GroupId group,
                 const raft::CommittedEntry& committed) override;
  void OnDown(SimHost& host) override;

 private:
  // The one that claims to lead, of the highest term; null when there is none.
  SimHost* LeaderOf(const Group& group);
  void Begin(const Fault& fault);
  void End(const Fault& fault);
  void Flap(Fault fault, bool cut);
  void CutLinks(const Fault& fault, bool cut);
  void Refresh();
  void HealAll();
  void Transfer(const Fault& fault);
  void ChangeMembers(const Fault& fault);
  void Restart(SimHost& host, SimDisk::CrashKind kind, Nanos down);
  void StartLater(SimHost& host, Nanos delay);
  void StartNow(SimHost& host);

  void Check();
  bool RunUntil(Nanos end);
  bool Await(Nanos limit, const char* rule, const std::function<bool()>& condition);
  bool Agreed();
  bool Asleep();
  std::string Standing();
  RunResult Result();

  const RunOptions options_;
  World world_;
  Random random_;
  SimNetwork network_;
  NetworkFaults weather_;
  bool leases_ = false;
  std::vector<Group> groups_;  // ids from 1, in order
  std::vector<std::unique_ptr<SimHost>> hosts_;
  std::unique_ptr<HostsClients> clients_;
  FaultPlan plan_;
  std::map<uint32_t, Fault> active_;
  std::map<uint32_t, std::vector<std::pair<raft::NodeId, raft::NodeId>>> cut_;
  std::map<std::string, uint64_t> counts_;
  bool over_ = false;  // the faults
  bool failed_ = false;
  Failure failure_;
  uint64_t quiesced_ = 0;
};

}  // namespace keel::sim
