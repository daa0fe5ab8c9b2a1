// What the clients of a simulated cluster do, and what they must find true.
//
// Everything within the simulation's one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/sim/member.h"

namespace keel::sim {

class Simulation;

struct WorkloadCounters {
  uint64_t operations = 0;
  uint64_t acknowledged = 0;
  uint64_t refused = 0;
  uint64_t unknown = 0;
  uint64_t watch_events = 0;
  uint64_t leases = 0;
};

class Workload {
 public:
  virtual ~Workload() = default;

  // What runs above Raft on each member.
  virtual std::unique_ptr<MemberStack> MakeStack(SimMember& member) = 0;
  // Clients begin to ask.
  virtual void Start() = 0;
  // The context of a change of membership.
  virtual std::string ChangeContext(const raft::ConfChange& change) { return ""; }
  // The faults are over: from now on everything must work again.
  virtual void OnHealed() = 0;
  // Whether it does: every client got what it asked for since OnHealed.
  virtual bool Recovered() const = 0;
  // Clients ask no more; what is on its way may end.
  virtual void Stop() = 0;
  virtual bool Idle() const = 0;
  // The cluster is quiet and agrees: the last checks.
  virtual void CheckEnd() = 0;

  virtual WorkloadCounters counters() const = 0;
};

// Above Raft alone (list_machine.h): proposals and linearizable reads.
std::unique_ptr<Workload> MakeListWorkload(Simulation* simulation);
// Above the whole store (kv_stack.h): etcd's requests, watches and leases.
std::unique_ptr<Workload> MakeKvWorkload(Simulation* simulation);

}  // namespace keel::sim
