// Clients of the list machine. A proposal is known by its bytes: applied by the
// member that took it, it is acknowledged. A read must see at least all that
// was acknowledged before it was asked.
#include <map>
#include <set>

#include "tests/sim/list_machine.h"
#include "tests/sim/simulation.h"
#include "tests/sim/workload.h"

namespace keel::sim {
namespace {

constexpr Nanos kTimeout = 5 * kSecond;

class ListWorkload;

class ListStack final : public MemberStack {
 public:
  ListStack(SimMember& member, ListWorkload* workload);
  raft::StateMachine* machine() override { return &machine_; }
  bool KnowsHash() const override { return true; }
  uint64_t StateHash() const override { return machine_.hash(); }

 private:
  ListMachine machine_;
};

class ListWorkload final : public Workload {
 public:
  explicit ListWorkload(Simulation* simulation)
      : sim_(*simulation), world_(simulation->world()), random_(world_.random().Fork()) {
    clients_.resize(2 + random_.Below(4));
    pace_ = random_.Between(5 * kMilli, 300 * kMilli);
    reads_ = random_.Unit() * 0.6;
    size_max_ = random_.Chance(0.3) ? 3000 : 60;
    for (size_t i = 0; i < clients_.size(); ++i) clients_[i].id = i + 1;
  }

  std::unique_ptr<MemberStack> MakeStack(SimMember& member) override {
    return std::make_unique<ListStack>(member, this);
  }

  void Start() override {
    for (Client& client : clients_) Next(client);
  }
  void OnHealed() override {
    for (Client& client : clients_) client.wrote = client.read = false;
  }
  bool Recovered() const override {
    for (const Client& client : clients_) {
      if (!client.wrote || !client.read) return false;
    }
    return true;
  }
  void Stop() override { stopped_ = true; }
  bool Idle() const override {
    for (const Client& client : clients_) {
      if (client.operation != 0) return false;
    }
    return true;
  }
  void CheckEnd() override {}
  WorkloadCounters counters() const override { return counters_; }

  void OnApplied(SimMember& member, const raft::CommittedEntry& committed) {
    const raft::Entry& entry = committed.entry;
    if (entry.type != raft::EntryType::kNormal || entry.data->empty()) return;
    const auto [first, is_new] = places_.emplace(*entry.data, entry.index);
    if (first->second != entry.index) {
      sim_.oracle().Fail("applied twice",
                         absl::StrFormat("%s at index %d and %d", entry.data->substr(0, 20),
                                         first->second, entry.index));
    }
    const auto it = waiting_.find(*entry.data);
    if (it == waiting_.end() || it->second.member != member.id() ||
        it->second.life != member.life()) {
      return;
    }
    const Waiting waiting = it->second;
    waiting_.erase(it);
    world_.After(sim_.network().DrawDelay(), [this, waiting, index = entry.index] {
      sim_.oracle().OnAcknowledged(index);
      clients_[waiting.client].wrote = true;
      Done(clients_[waiting.client], waiting.operation, true);
    });
  }

 private:
  struct Client {
    uint64_t id = 0;
    uint64_t operation = 0;  // 0: none
    bool wrote = false;
    bool read = false;
  };
  struct Waiting {
    size_t client = 0;
    uint64_t operation = 0;
    raft::NodeId member = 0;
    uint64_t life = 0;
  };

  void Next(Client& client) {
    world_.After(random_.Between(kMilli, 2 * pace_), [this, &client] {
      if (!stopped_) Ask(client);
    });
  }

  void Done(Client& client, uint64_t operation, bool acknowledged) {
    if (client.operation != operation) return;  // it gave up long ago
    client.operation = 0;
    ++(acknowledged ? counters_.acknowledged : counters_.unknown);
    Next(client);
  }

  void Ask(Client& client) {
    client.operation = ++counters_.operations;
    const uint64_t operation = client.operation;
    world_.After(kTimeout, [this, &client, operation] { Done(client, operation, false); });
    SimMember& member = sim_.AnyServer();
    const bool read = random_.Chance(reads_) || (client.wrote && !client.read);
    const raft::Index floor = sim_.oracle().acknowledged();
    std::string value = absl::StrFormat("%d.%d ", client.id, operation);
    value.resize(std::max<size_t>(value.size(), random_.Below(size_max_)), 'x');
    world_.After(sim_.network().DrawDelay(), [this, &client, &member, operation, read, floor,
                                              value = std::move(value)]() mutable {
      if (!member.up()) return;
      member.loop().Post(
          [this, &client, &member, operation, read, floor, value = std::move(value)]() mutable {
            if (read) {
              Read(client, member, operation, floor);
            } else {
              Write(client, member, operation, std::move(value));
            }
          });
    });
  }

  void Write(Client& client, SimMember& member, uint64_t operation, std::string value) {
    world_.Note(member.id(), "client %d proposes #%d", client.id, operation);
    waiting_[value] = {client.id - 1, operation, member.id(), member.life()};
    auto payload = std::make_shared<const std::string>(std::move(value));
    member.node().Propose(payload, [this, &client, payload, operation](absl::Status) {
      waiting_.erase(*payload);
      ++counters_.refused;
      world_.After(sim_.network().DrawDelay(),
                   [this, &client, operation] { Done(client, operation, false); });
    });
  }

  void Read(Client& client, SimMember& member, uint64_t operation, raft::Index floor) {
    member.node().ReadIndex(
        [this, &client, &member, operation, floor](absl::StatusOr<raft::Index> index) {
          if (member.disk().dead()) return;
          if (index.ok() && *index < floor) {
            sim_.oracle().Fail(
                "stale read", absl::StrFormat("client %d read at index %d on member %x after index "
                                              "%d was acknowledged",
                                              client.id, *index, member.id(), floor));
          }
          world_.After(sim_.network().DrawDelay(), [this, &client, operation, ok = index.ok()] {
            if (ok) client.read = true;
            Done(client, operation, ok);
          });
        });
  }

  Simulation& sim_;
  World& world_;
  Random random_;
  std::vector<Client> clients_;
  Nanos pace_ = 0;
  double reads_ = 0;
  size_t size_max_ = 0;
  bool stopped_ = false;
  std::map<std::string, Waiting> waiting_;
  std::map<std::string, raft::Index> places_;
  WorkloadCounters counters_;
};

ListStack::ListStack(SimMember& member, ListWorkload* workload)
    : machine_(&member.disk(), "/member/list") {
  machine_.on_applied = [&member, workload](const raft::CommittedEntry& entry) {
    workload->OnApplied(member, entry);
  };
}

}  // namespace

std::unique_ptr<Workload> MakeListWorkload(Simulation* simulation) {
  return std::make_unique<ListWorkload>(simulation);
}

}  // namespace keel::sim
