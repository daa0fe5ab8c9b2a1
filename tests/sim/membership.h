// Who is in a simulated cluster: carries out membership faults, takes down who
// was removed, and replaces members whose disk is beyond repair.
//
// Lifetime: within its simulation's.
#pragma once

#include <map>
#include <set>
#include <string>

#include "tests/sim/faults.h"
#include "tests/sim/member.h"

namespace keel::sim {

class Simulation;

class Membership {
 public:
  Membership(Simulation* simulation, raft::ConfState first)
      : sim_(*simulation), conf_(std::move(first)) {}

  // kAddMember, kPromote, kRemove, kSwap.
  void CarryOut(const Fault& fault);
  // A member applied the entry at `index` and has this configuration now.
  void OnConf(SimMember& member, raft::Index index, const raft::ConfState& conf);
  // It knows that it was removed: by its own log, or because another member told it.
  void OnToldRemoved(SimMember& member);
  // Its disk is damaged and it said so: it leaves, and another one comes.
  void Replace(SimMember& member);

  // In the newest configuration that any member has applied.
  bool Belongs(raft::NodeId id) const { return In(conf_, id); }
  // Of the newest configuration.
  size_t voters() const { return conf_.voters.size(); }
  // Gone for good: not to be started again.
  bool IsGone(raft::NodeId id) const { return gone_.contains(id); }
  const std::set<raft::NodeId>& gone() const { return gone_; }
  // The faults are over: those that were removed and cannot hear of it stop, too.
  void OnHealed();
  // Whether one that was removed has yet to be told by one of those that it calls.
  bool SomeoneAwaitsNotice() const;
  // Whether a member was asked to leave. One that went is missed until the change is durable
  // everywhere: a quorum may be one of before, and can spare no other then.
  bool someone_leaves() const { return someone_leaves_; }
  // Whether all voters but `member` have applied the newest configuration: one that has not may
  // need the votes of one before, and cannot spare it.
  bool CanSpare(const SimMember& member) const;
  // Nobody is to be replaced, and no joint configuration is in force.
  bool Settled() const;

 private:
  static bool In(const raft::ConfState& conf, raft::NodeId id);
  // Stops one that was removed, once all voters that stay have applied that. Else, where they
  // lose power at once and have it of nobody, the voters of before are needed to elect.
  void StopRemoved(SimMember& member);
  bool AwaitsNotice(SimMember& member) const;
  // One that was removed calls those that it knows, as its transport does.
  void CallPeers(SimMember& member);
  void Propose(raft::ConfChange change);
  raft::NodeId AddSpare();
  void Repair();

  Simulation& sim_;
  raft::ConfState conf_;
  raft::Index conf_index_ = 0;
  std::map<raft::NodeId, raft::Index> known_;  // the last that each has applied; survives its crash
  raft::NodeId next_id_ = 0x10;
  std::set<raft::NodeId> gone_;
  std::set<raft::NodeId> stopping_;
  std::set<raft::NodeId> calling_;
  std::map<raft::NodeId, raft::NodeId> replacements_;  // lost → new; 0: none yet
  bool repairing_ = false;
  bool someone_leaves_ = false;
};

}  // namespace keel::sim
