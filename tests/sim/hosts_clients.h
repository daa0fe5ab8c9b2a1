// Clients of many groups: each proposes and reads here and there. A proposal is
// known by its bytes; applied by the host that took it, it is acknowledged. A
// read must see at least all that was acknowledged in its group before it was
// asked, and nothing is ever applied in another group than it was proposed in.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/hosts_simulation.h"

namespace keel::sim {

class HostsClients {
 public:
  explicit HostsClients(HostsSimulation* simulation);

  void Start();
  // From now on every group must serve.
  void OnHealed();
  // Whether each has taken a write and answered a read since OnHealed.
  bool Recovered() const { return unserved_.empty(); }
  void Stop() { stopped_ = true; }
  bool Idle() const;
  void OnApplied(SimHost& host, raft::GroupId group, const raft::CommittedEntry& committed);
  const WorkloadCounters& counters() const { return counters_; }

 private:
  struct Client {
    uint64_t id = 0;
    uint64_t operation = 0;  // 0: none
  };
  struct Waiting {
    size_t client = 0;
    uint64_t operation = 0;
    raft::NodeId host = 0;
    uint64_t life = 0;
  };
  struct Place {
    raft::GroupId group = 0;
    raft::Index index = 0;  // 0: not applied yet
  };

  void Next(Client& client);
  void Ask(Client& client);
  void Write(Client& client, uint64_t operation, SimHost& host, raft::GroupId group,
             std::string value);
  void Read(Client& client, uint64_t operation, SimHost& host, raft::GroupId group,
            raft::Index floor);
  void Done(Client& client, uint64_t operation, bool acknowledged);

  HostsSimulation& sim_;
  World& world_;
  Random random_;
  std::vector<Client> clients_;
  Nanos pace_ = 0;
  double reads_ = 0;
  size_t size_max_ = 0;
  bool stopped_ = false;
  bool healed_ = false;
  std::set<std::pair<raft::GroupId, bool>> unserved_;  // group, whether it is the read
  std::map<std::string, Waiting> waiting_;
  std::map<std::string, Place> places_;
  WorkloadCounters counters_;
};

}  // namespace keel::sim
