// The network between members: loses, duplicates, reorders, delays and corrupts
// messages, cuts links one way or both, and breaks snapshot streams in the middle.
// What travels are the bytes of the production codec.
//
//   SimNetwork network(&world);
//   network.on_sent = [&](const raft::Message& m) { checker.OnSent(m); };
//   auto transport = network.Connect(1, {.fs = &disk, .snapshot_dir = "/m/snap"});
//   network.set_faults({.loss = 0.1});
//   network.Cut(1, 2);                    // nothing from 1 reaches 2
//
// Lifetime: the world outlives the network, the network its transports. A
// transport that is destroyed is a member that is gone; what is on its way to
// it is lost.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "raft/transport/transport.h"
#include "tests/sim/world.h"

namespace keel::sim {

struct NetworkFaults {
  double loss = 0;  // of each message
  double duplicate = 0;
  double corrupt = 0;   // a bit flips: the receiver's checksum must notice
  double straggle = 0;  // a message takes up to straggle_max: overtaken by others
  Nanos straggle_max = 2 * kSecond;
  Nanos delay_min = 100 * kMicro;
  Nanos delay_max = 1 * kMilli;
  double break_snapshot = 0;  // of each stream, somewhere on its way
};

struct NetworkCounters {
  uint64_t sent = 0;
  uint64_t delivered = 0;
  uint64_t lost = 0;
  uint64_t cut = 0;
  uint64_t duplicated = 0;
  uint64_t corrupted = 0;
  uint64_t straggled = 0;
  uint64_t snapshots_sent = 0;
  uint64_t snapshots_broken = 0;
  uint64_t bytes = 0;
};

class SimTransport;

class SimNetwork {
 public:
  explicit SimNetwork(World* world);

  struct Site {
    base::FileSystem* fs = nullptr;
    std::string snapshot_dir;
    // False: members reach only whom AddPeer named.
    bool knows_all = false;
    // As TcpTransportOptions::removed_at.
    std::function<raft::Index(raft::NodeId)> removed_at;
  };
  // At most one transport of a member at a time.
  std::unique_ptr<raft::Transport> Connect(raft::NodeId self, Site site);

  void set_faults(const NetworkFaults& faults) { faults_ = faults; }
  const NetworkFaults& faults() const { return faults_; }
  // Links are directed and count how often they are cut, so that faults may overlap.
  void Cut(raft::NodeId from, raft::NodeId to) { ++cuts_[{from, to}]; }
  void Mend(raft::NodeId from, raft::NodeId to);
  void MendAll() { cuts_.clear(); }
  bool Passes(raft::NodeId from, raft::NodeId to) const { return !cuts_.contains({from, to}); }
  // Calls, as TcpTransport does whenever it has no connection: who was removed is told.
  void Greet(raft::NodeId from, raft::NodeId to);
  // A delay as the faults have it now; for what clients and members send each other.
  Nanos DrawDelay();

  const NetworkCounters& counters() const { return counters_; }

  // Every message that leaves a member, before anything happens to it.
  std::function<void(const raft::Message&)> on_sent;
  // A member could not decode what another sent whole.
  std::function<void(std::string)> on_error;

 private:
  friend class SimTransport;
  void Carry(raft::NodeId from, raft::NodeId to, std::string frame, bool may_duplicate);
  void Arrive(raft::NodeId from, raft::NodeId to, const std::string& frame, bool corrupted);
  void Unreachable(raft::NodeId at, raft::NodeId peer);
  void TellRemoved(raft::NodeId from, raft::NodeId to, raft::Index index);
  SimTransport* Find(raft::NodeId id) const;

  World& world_;
  Random random_;
  NetworkFaults faults_;
  NetworkCounters counters_;
  std::map<std::pair<raft::NodeId, raft::NodeId>, int> cuts_;
  std::map<raft::NodeId, SimTransport*> members_;
  uint64_t snapshots_ = 0;
};

}  // namespace keel::sim
