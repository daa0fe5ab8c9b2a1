// One simulated host of many groups: the production raft::Host with a list
// machine (list_machine.h) for each group, on a simulated disk, clock, network
// and loops. It can be crashed, and started again on what its disk kept.
//
//   SimHost host(&world, &network, options, &listener);
//   host.Start();
//   host.node(3)->Propose(...);
//   host.Crash(SimDisk::CrashKind::kPower);
//
// As SimMember, for one group: a host whose disk died or that failed for good is
// down by the next event.
//
// Lifetime: world, network and listener outlive it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "raft/driver/host.h"
#include "tests/sim/check/raft_check.h"
#include "tests/sim/disk.h"
#include "tests/sim/list_machine.h"
#include "tests/sim/loop.h"
#include "tests/sim/network.h"

namespace keel::sim {

class SimHost;

// What a host reports to.
class HostListener {
 public:
  virtual ~HostListener() = default;
  virtual RaftChecker& CheckerOf(raft::GroupId group) = 0;
  virtual void OnApplied(SimHost& host, raft::GroupId group,
                         const raft::CommittedEntry& committed) = 0;
  // Down by now, of its own: a dead disk, or a fatal error.
  virtual void OnDown(SimHost& host) = 0;
};

struct SimGroup {
  raft::GroupId id = raft::kNoGroup;
  raft::ConfState first_conf;
  uint64_t snapshot_count = 100;
  uint64_t catchup_entries = 50;
  bool lease_reads = false;
};

struct SimHostOptions {
  raft::NodeId id = raft::kNoNode;
  uint64_t seed = 0;
  std::vector<SimGroup> groups;  // that it is a member of from the first
  base::Duration tick = std::chrono::milliseconds(100);
  uint64_t election_ticks = 10;
  uint64_t quiesce_ticks = 10;
  uint64_t host_heartbeat_ticks = 3;
  uint64_t host_suspect_ticks = 15;
  uint64_t segment_bytes = 32 << 10;
  uint64_t log_memory_bytes = 4 << 10;
};

class SimHost {
 public:
  SimHost(World* world, SimNetwork* network, SimHostOptions options, HostListener* listener);
  ~SimHost();

  // What Host::Open or OpenGroup say.
  absl::Status Start();
  // Ends without a word. No effect unless running.
  void Crash(SimDisk::CrashKind kind);
  // As an orderly shutdown leaves it: leadership is handed over before the groups go.
  // No effect unless up. `done` runs once it is down, at most `limit` later.
  void Leave(Nanos limit, std::function<void()> done);
  // Joins a group that its leader is about to add it to. REQUIRES: up.
  absl::Status Join(const SimGroup& group);
  // Gives up a group that it is no member of any more. REQUIRES: up, or the next start does.
  void Drop(raft::GroupId group);
  // Nothing of the host runs before this moment.
  void Stall(Nanos until);

  raft::NodeId id() const { return options_.id; }
  bool up() const { return host_ != nullptr && !dying_; }
  bool running() const { return host_ != nullptr; }
  uint64_t life() const { return life_; }
  const absl::Status& fatal() const { return fatal_; }
  // Null when the host is not up or does not hold the group.
  raft::Node* node(raft::GroupId group) const;
  const std::vector<SimGroup>& groups() const { return groups_; }
  raft::HostCounters counters() const { return host_->counters(); }

  SimClock& clock() { return clock_; }
  SimDisk& disk() { return disk_; }
  SimLoop& loop() { return *main_; }
  // Whether its disk was made to fail since it started: then it may stop.
  bool excused() const { return excused_; }
  void set_excused(bool excused) { excused_ = excused; }

 private:
  class Group;

  absl::Status Open(const SimGroup& group);
  void Dying();
  void TearDown();
  std::unique_ptr<SimLoop> MakeLoop();

  World& world_;
  SimNetwork& network_;
  const SimHostOptions options_;
  HostListener& listener_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::vector<SimGroup> groups_;
  SimDisk disk_;
  SimClock clock_;
  uint64_t life_ = 0;
  bool dying_ = false;
  bool excused_ = false;
  absl::Status fatal_;

  // In the order in which they depend on each other.
  std::unique_ptr<SimLoop> main_, apply_, log_loop_;
  std::unique_ptr<raft::Transport> transport_;
  std::unique_ptr<raft::Host> host_;
  std::map<raft::GroupId, std::unique_ptr<Group>> open_;
};

}  // namespace keel::sim
