// What all parts of a server share: who it is and what it is made of.
//
// Thread-safety: set up before anything runs, then only read.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "kvstore/apply/state_machine.h"
#include "kvstore/server/config.h"
#include "raft/driver/node.h"
#include "raft/transport/transport.h"

namespace keel::kvstore {

class AuthGate;
class AuthState;
class LeaderStreams;
class SpaceWatch;

struct ServerContext {
  ServerContext(ServerConfig server_config, uint64_t cluster, uint64_t member,
                std::function<uint64_t()> clock = nullptr)
      : config(std::move(server_config)),
        cluster_id(cluster),
        member_id(member),
        unix_ms(clock ? std::move(clock) : SystemUnixMs) {}

  const ServerConfig config;
  const uint64_t cluster_id;
  const uint64_t member_id;
  const std::function<uint64_t()> unix_ms;  // wall clock; tells the ids of two runs apart

  base::Loop* loop = nullptr;             // owns proposals, leases and all timers here
  std::vector<base::Loop*> io_loops;      // serve connections; the first may be `loop`
  std::vector<base::Loop*> worker_loops;  // for what may take long

  raft::Node* node = nullptr;
  raft::Transport* transport = nullptr;
  KvStateMachine* machine = nullptr;
  SpaceWatch* space = nullptr;
  const AuthState* auth = nullptr;  // the machine's
  AuthGate* auth_gate = nullptr;
  LeaderStreams* leader_streams = nullptr;

  // Kept up to date from the apply loop; read on every request.
  std::atomic<bool> is_learner{false};
  std::atomic<bool> no_space{false};  // alarms
  std::atomic<bool> corrupt{false};
  // From the start until there was a leader, or for three election timeouts. Meanwhile clients that
  // ask for a leader wait for one: etcd, too, serves nobody before it knows its first.
  std::atomic<bool> starting{true};

  bool IsLeader() const { return node->leader() == member_id; }
  bool HasLeader() const { return node->leader() != raft::kNoNode; }
  // Whether who asks for a leader is to be refused.
  bool LacksLeader() const { return !HasLeader() && !starting.load(std::memory_order_relaxed); }

  // Appends field 1 of a response, the header, with this revision.
  void AppendHeader(int64_t revision, std::string* out) const;
  // Appends it without a revision (the Cluster service has none).
  void AppendClusterHeader(std::string* out) const { AppendHeader(0, out); }

  // The worker whose turn it is.
  base::Loop& NextWorker() const {
    return *worker_loops[next_worker_.fetch_add(1, std::memory_order_relaxed) %
                         worker_loops.size()];
  }

 private:
  static uint64_t SystemUnixMs();

  mutable std::atomic<size_t> next_worker_{0};
};

// Ids for requests and leases, unique among members and over restarts without
// any coordination: 2 bytes of the member's id, 5 bytes of the time of its
// start in milliseconds, 1 byte to count, carrying over into the time
// (etcd: pkg/idutil).
class IdGenerator {
 public:
  IdGenerator(uint64_t member_id, uint64_t unix_ms)
      : next_((member_id & 0xffff) << 48 | (unix_ms & 0xffffffffff) << 8) {}
  uint64_t Next() { return next_.fetch_add(1, std::memory_order_relaxed) + 1; }

 private:
  std::atomic<uint64_t> next_;
};

}  // namespace keel::kvstore
