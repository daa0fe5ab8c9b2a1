// Clients of the simulated store: requests with unique values, watches that
// resume, leases that are kept alive or not; all they see goes into the
// histories that tests/sim/check judges.
//
// A request travels to a member and back with the network's delays, reaches a
// service as bytes, and is given up after a time limit: its outcome is then
// unknown, as it is when its member goes down.
//
// Everything within the simulation's one thread; clients live as long as it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/sim/check/lease_check.h"
#include "tests/sim/check/watch_check.h"
#include "tests/sim/kv_stack.h"
#include "tests/sim/simulation.h"

namespace keel::sim {

// What all clients of a run share.
struct KvShared {
  explicit KvShared(Simulation* simulation)
      : sim(*simulation), world(simulation->world()), random(world.random().Fork()) {}

  using Done = std::function<void(absl::StatusOr<std::string>)>;

  // `done` once: with the answer, or Cancelled when there was none in time. Unavailable with
  // `sent` untouched means that nobody has seen the request.
  void Call(SimMember& member, std::string path, std::string request, bool* sent, Done done);
  // A member chosen at random, up or not.
  SimMember& AnyMember() { return sim.AnyServer(); }
  Nanos Delay() { return sim.network().DrawDelay(); }
  void SawRevision(int64_t revision) {
    if (revision > newest) newest = revision;
  }

  Simulation& sim;
  World& world;
  Random random;
  bool stopped = false;
  int64_t newest = 1;  // revision that a client has seen
  uint64_t next_operation = 1;
  WorkloadCounters counters;
};

// One operation at a time, with think time between them.
class KvClient {
 public:
  KvClient(KvShared* shared, uint64_t id, std::vector<std::string> keys, Nanos pace);

  void Start() { Next(); }
  void OnHealed() { wrote_ = read_ = false; }
  bool recovered() const { return wrote_ && read_; }
  bool idle() const { return !busy_; }
  const History& history() const { return history_; }

 private:
  void Next();
  void Ask();
  void Compact();
  Operation Draw();
  void Send(Operation operation);
  void Answered(size_t place, const absl::StatusOr<std::string>& answer, bool sent);

  KvShared& shared_;
  const uint64_t id_;
  const std::vector<std::string> keys_;
  const Nanos pace_;
  std::map<std::string, int64_t> seen_;  // mod revisions, for compare-and-swap
  bool busy_ = false;
  bool wrote_ = false;
  bool read_ = false;
  History history_;
};

// One watch after another over a range, each from where the last one ended.
class KvWatcher {
 public:
  KvWatcher(KvShared* shared, uint64_t id, std::string key, std::string range_end);

  void Start() { OpenLater(); }
  // Whether the present stream has been told of all up to this revision.
  bool CaughtUp(int64_t revision) const;
  // Records in a chain without a gap, each chain on its own.
  const std::vector<std::vector<WatchRecord>>& chains() const { return chains_; }
  uint64_t events() const { return events_; }

 private:
  struct Attempt {
    std::unique_ptr<rpc::LocalStream> stream;
    SimMember* member = nullptr;
    uint64_t life = 0;
    Nanos last = 0;  // arrival of the newest response: they keep their order
    bool over = false;
  };

  void OpenLater();
  void Open();
  void Opened(const std::shared_ptr<Attempt>& attempt);
  void Watchdog(const std::shared_ptr<Attempt>& attempt);
  void OnMessage(const std::shared_ptr<Attempt>& attempt, const std::string& bytes);
  void Over(const std::shared_ptr<Attempt>& attempt);

  KvShared& shared_;
  const uint64_t id_;
  const std::string key_, range_end_;
  const bool prev_kv_;
  int64_t next_ = 0;  // revision to go on with; 0: the present
  std::shared_ptr<Attempt> current_;
  std::vector<std::vector<WatchRecord>> chains_;
  uint64_t records_ = 0;
  uint64_t events_ = 0;
};

// Grants a lease, puts keys under it, renews it for a while, revokes it or lets it run out.
class KvLeaseClient {
 public:
  KvLeaseClient(KvShared* shared, uint64_t id) : shared_(*shared), id_(id) {}

  void Start() {
    Later(shared_.random.Between(kMilli, 3 * kSecond), [this] { Grant(); });
  }
  const std::vector<std::unique_ptr<LeaseRecord>>& leases() const { return leases_; }
  const History& history() const { return history_; }

 private:
  void Later(Nanos delay, std::function<void()> task);
  void Grant();
  void Live(LeaseRecord* lease);
  void Attach(LeaseRecord* lease);
  void KeepAlive(LeaseRecord* lease);
  void Revoke(LeaseRecord* lease);

  KvShared& shared_;
  const uint64_t id_;
  uint64_t keys_ = 0;
  std::vector<std::unique_ptr<LeaseRecord>> leases_;
  History history_;
};

}  // namespace keel::sim
