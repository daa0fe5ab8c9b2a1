// One simulated member: the production node on a simulated disk, clock, network
// and loops, with a stack of its choice above Raft. It can be crashed, and
// started again on what its disk kept, any number of times.
//
//   SimMember member(&world, &network, &oracle, options, MakeListStack);
//   member.Start();
//   member.Crash(SimDisk::CrashKind::kPower);
//   member.Start();
//
// A member whose disk died (SimDisk::DieAfter) or that failed for good (on_fatal)
// is down by the next event: nothing of what it did afterwards gets out.
//
// Lifetime: world, network and oracle outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "raft/driver/node.h"
#include "tests/sim/disk.h"
#include "tests/sim/loop.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"

namespace keel::sim {

class SimMember;

// What runs above Raft in one life of a member. Destroyed after the node.
class MemberStack {
 public:
  virtual ~MemberStack() = default;
  virtual raft::StateMachine* machine() = 0;
  // Hash of the state machine as it is; 0: not known. When it is, entries are applied one by one.
  virtual bool KnowsHash() const { return false; }
  virtual uint64_t StateHash() const { return 0; }
  // On the main loop, before and after the node opens. The second may not fail.
  virtual void Prepare(raft::NodeOptions* options) {}
  virtual void Start(raft::Node* node, raft::Transport* transport) {}
  // The index at which this member knows another to have been removed; 0: it does not.
  virtual raft::Index RemovedAt(raft::NodeId id) const { return 0; }
  // Whom its transport calls; empty for a stack that does not know who was removed.
  virtual std::vector<raft::NodeId> Peers() const { return {}; }
  // On the main loop; before the node goes.
  virtual void TearDown() {}
};

using MakeStack = std::function<std::unique_ptr<MemberStack>(SimMember& member)>;

struct SimMemberOptions {
  raft::NodeId id = raft::kNoNode;
  uint64_t cluster_id = 0;
  uint64_t seed = 0;
  raft::ConfState first_conf;  // of the cluster at its first start
  base::Duration tick = std::chrono::milliseconds(100);
  uint64_t election_ticks = 10;
  uint64_t snapshot_count = 100;
  uint64_t catchup_entries = 50;
  uint64_t segment_bytes = 32 << 10;
  uint64_t log_memory_bytes = 4 << 10;
  bool lease_reads = false;
  bool knows_all = false;  // see SimNetwork::Site
  SimDiskOptions disk;
};

class SimMember final : public raft::NodeObserver {
 public:
  SimMember(World* world, SimNetwork* network, Oracle* oracle, SimMemberOptions options,
            MakeStack make_stack);
  ~SimMember() override;

  enum class State : uint8_t { kDown, kUp, kFailed };

  // What Open says. DataLoss is what a damaged disk must lead to.
  absl::Status Start();
  // Ends without a word. No effect unless up.
  void Crash(SimDisk::CrashKind kind);
  // A new, empty disk. REQUIRES: down.
  void Wipe();

  raft::NodeId id() const { return options_.id; }
  const SimMemberOptions& options() const { return options_; }
  bool up() const { return node_ != nullptr && !dying_; }
  // Up, or on its way down.
  bool running() const { return node_ != nullptr; }
  // Counts starts: calls of an earlier life get no answer.
  uint64_t life() const { return life_; }
  // Why it failed for good; OK when it did not, or was started since.
  const absl::Status& fatal() const { return fatal_; }

  World& world() { return world_; }
  Oracle& oracle() { return oracle_; }
  SimClock& clock() { return clock_; }
  SimDisk& disk() { return *disk_; }
  // Whether its disk was made to fail since it started, or is damaged: then it may stop.
  bool excused() const { return excused_; }
  void set_excused(bool excused) { excused_ = excused; }
  // REQUIRES: up().
  raft::Node& node() { return *node_; }
  MemberStack& stack() { return *stack_; }
  SimLoop& loop() { return *main_; }
  SimLoop& apply_loop() { return *apply_; }
  SimLoop& worker() { return *worker_; }

  // Whether it ever applied a configuration that it is in.
  bool was_in_conf() const { return was_in_conf_; }
  void set_was_in_conf() { was_in_conf_ = true; }
  // Its disk was damaged on purpose, since it was last wiped.
  bool damaged() const { return damaged_; }
  void set_damaged() { damaged_ = true; }

  // Nothing of the member runs before this moment.
  void Stall(Nanos until);

  // Down by now, of its own: a dead disk, or a fatal error. Set by the simulation.
  std::function<void(SimMember& member)> on_down;
  // It applied a change of membership.
  std::function<void(SimMember& member, raft::Index index, const raft::ConfState& conf)> on_conf;

  // ---- raft::NodeObserver
  void OnStart(const raft::LogView& log, const raft::HardState& hard_state,
               const raft::ConfState& conf, raft::Index applied) override;
  void OnReady(const raft::Ready& ready, raft::Term term) override;

 private:
  class WatchedMachine;

  void AfterTask();
  void Dying();
  void TearDown();
  std::unique_ptr<SimLoop> MakeLoop();

  World& world_;
  SimNetwork& network_;
  Oracle& oracle_;
  const SimMemberOptions options_;
  const MakeStack make_stack_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  std::unique_ptr<SimDisk> disk_;
  SimClock clock_;
  uint64_t life_ = 0;
  uint64_t disks_ = 0;
  bool dying_ = false;
  bool excused_ = false;
  bool damaged_ = false;
  bool was_in_conf_ = false;
  absl::Status fatal_;
  const raft::LogView* log_ = nullptr;
  raft::Index first_index_ = 0;
  raft::Index snapshot_index_ = 0;  // of the last one that the core took

  // In the order in which they depend on each other.
  std::unique_ptr<SimLoop> main_, apply_, log_loop_, worker_;
  std::unique_ptr<MemberStack> stack_;
  std::unique_ptr<WatchedMachine> machine_;
  std::unique_ptr<raft::Transport> transport_;
  std::unique_ptr<raft::Node> node_;
};

}  // namespace keel::sim
