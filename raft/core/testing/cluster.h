// Several Rafts in one thread under a network and disks that misbehave, all of
// it decided by one seed; the properties of the paper's figure 3 are checked at
// every step. A violation stops the process with its values; the same options
// replay it.
//
//   Cluster cluster({.voters = {1, 2, 3}, .seed = 7, .chaos = true});
//   cluster.Run(20000);         // random steps: ticks, messages, disk, proposals, crashes
//   cluster.Heal();
//   cluster.AwaitAgreement();   // all members apply the same, or the process stops
//
// Disks are asynchronous: what a Ready asks to persist becomes durable some
// steps later, in order, and a crash loses what is not. The state machine is
// the list of what it applied, flushed at its leisure.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "raft/core/memory_log.h"
#include "raft/core/raft.h"

namespace keel::raft::testing {

// Told of what members do, for checks beyond the cluster's own. All calls come in
// the order in which things happen; OnStatus only when no Ready is left to take.
class ClusterObserver {
 public:
  virtual ~ClusterObserver() = default;
  virtual void OnStart(NodeId id, const HardState& hard_state, const SnapshotMeta& base,
                       const std::vector<Entry>& entries, Index applied) = 0;
  virtual void OnCrash(NodeId id) = 0;
  virtual void OnReady(NodeId id, const Ready& ready) = 0;
  virtual void OnStatus(const Status& status) = 0;
  virtual void OnSent(const Message& message) = 0;
  virtual void OnApplied(NodeId id, const Entry& entry, const ConfState& conf_after) = 0;
  virtual void OnCompact(NodeId id, Index index) = 0;
};

struct ClusterOptions {
  std::vector<NodeId> voters = {1, 2, 3};
  std::vector<NodeId> learners;
  // Members that exist and can be added, but are in no configuration at first.
  std::vector<NodeId> spares;
  uint64_t seed = 1;
  bool chaos = true;  // lose, duplicate, reorder messages; partitions; crashes
  bool change_membership = false;
  bool transfer = false;
  bool compact = true;
  bool lockstep = false;  // all clocks tick together, as leases require
  bool depose = false;    // leaders are often cut off from all others
  Config config;          // id and random are filled in per member
  ClusterObserver* observer = nullptr;
};

class Cluster {
 public:
  explicit Cluster(ClusterOptions options);
  ~Cluster();

  void Run(int steps);
  // No more misbehaviour; everybody up and connected.
  void Heal();
  // Runs until one leader has every member of its configuration at the same
  // applied index, with a proposal of its own among what is applied.
  void AwaitAgreement();

  Raft& node(NodeId id);
  // Highest index known to be committed by anybody.
  Index committed() const { return committed_.empty() ? 0 : committed_.rbegin()->first; }
  uint64_t elections() const { return leaders_.size(); }
  uint64_t reads_answered() const { return reads_answered_; }
  uint64_t snapshots_installed() const { return snapshots_installed_; }
  uint64_t conf_changes() const { return conf_changes_; }
  uint64_t crashes() const { return crashes_; }

 private:
  struct Node;
  struct Committed {
    Term term = 0;
    std::string data;
  };

  uint64_t Random(uint64_t n) { return std::uniform_int_distribution<uint64_t>(0, n - 1)(rng_); }
  bool Chance(uint64_t per_mille) { return Random(1000) < per_mille; }
  Node& Pick();
  void RandomStep();
  void Tick(Node& node);
  void Ask(Node& node);
  void Misbehave();
  void Start(Node& node);
  void Crash(Node& node);
  void Drain(Node& node);
  void Persist(Node& node);
  void ApplyOne(Node& node);
  void Flush(Node& node);
  void Compact(Node& node);
  void Post(const Message& m);
  void Deliver(bool lose = false);
  void ProposeConfChange(Node& node);
  void CheckLeader(Node& node);
  void CheckCommitted(Node& node, const Entry& entry);
  void CheckLogs() const;
  bool Agreed();
  Node* Leader();

  // How often things happen, drawn from the seed: each run is of another kind
  // (swarm testing). The first five are weights, the others are per mille, but
  // `misbehave` per ten thousand.
  struct Temper {
    uint64_t deliver, persist, apply, tick, other;
    uint64_t lose, duplicate, reorder, misbehave, late_driver;
  };
  Temper DrawTemper();

  ClusterOptions options_;
  std::mt19937_64 rng_;
  Temper temper_;
  bool chaos_ = false;
  std::map<NodeId, std::unique_ptr<Node>> nodes_;
  std::vector<Message> network_;
  std::set<std::pair<NodeId, NodeId>> cut_;  // directed links that carry nothing
  std::map<Term, NodeId> leaders_;
  std::map<Index, Committed> committed_;
  uint64_t next_proposal_ = 1;
  uint64_t next_read_ = 1;
  uint64_t reads_answered_ = 0;
  uint64_t snapshots_installed_ = 0;
  uint64_t conf_changes_ = 0;
  uint64_t crashes_ = 0;
};

}  // namespace keel::raft::testing
