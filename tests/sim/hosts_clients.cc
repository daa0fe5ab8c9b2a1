#include "tests/sim/hosts_clients.h"

#include <iterator>

namespace keel::sim {

using raft::GroupId;

namespace {
constexpr Nanos kTimeout = 5 * kSecond;
}  // namespace

HostsClients::HostsClients(HostsSimulation* simulation)
    : sim_(*simulation), world_(simulation->world()), random_(world_.random().Fork()) {
  clients_.resize(2 + random_.Below(4));
  // Slow ones leave groups time to fall asleep.
  pace_ = random_.Chance(0.5) ? random_.Between(5 * kMilli, 100 * kMilli)
                              : random_.Between(300 * kMilli, 3 * kSecond);
  reads_ = random_.Unit() * 0.6;
  size_max_ = random_.Chance(0.3) ? 3000 : 60;
  for (size_t i = 0; i < clients_.size(); ++i) clients_[i].id = i + 1;
}

void HostsClients::Start() {
  for (Client& client : clients_) Next(client);
}

void HostsClients::OnHealed() {
  healed_ = true;
  pace_ = std::min(pace_, 100 * kMilli);
  for (const auto& group : sim_.groups()) {
    unserved_.emplace(group.setup.id, false);
    unserved_.emplace(group.setup.id, true);
  }
}

bool HostsClients::Idle() const {
  for (const Client& client : clients_) {
    if (client.operation != 0) return false;
  }
  return true;
}

void HostsClients::OnApplied(SimHost& host, GroupId group, const raft::CommittedEntry& committed) {
  const raft::Entry& entry = committed.entry;
  if (entry.type != raft::EntryType::kNormal || entry.data->empty()) return;
  Place& place = places_[*entry.data];
  if (place.group != group) {
    return sim_.Fail(
        "applied in another group",
        absl::StrFormat("%s of group %d on host %x in group %d at index %d",
                        entry.data->substr(0, 20), place.group, host.id(), group, entry.index));
  }
  if (place.index == 0) place.index = entry.index;
  if (place.index != entry.index) {
    return sim_.Fail("applied twice",
                     absl::StrFormat("%s of group %d at index %d and %d", entry.data->substr(0, 20),
                                     group, place.index, entry.index));
  }
  const auto it = waiting_.find(*entry.data);
  if (it == waiting_.end() || it->second.host != host.id() || it->second.life != host.life()) {
    return;
  }
  const Waiting waiting = it->second;
  waiting_.erase(it);
  world_.After(sim_.network().DrawDelay(), [this, waiting, group, index = entry.index] {
    raft::Index& acknowledged = sim_.groups()[group - 1].acknowledged;
    acknowledged = std::max(acknowledged, index);
    unserved_.erase({group, false});
    Done(clients_[waiting.client], waiting.operation, true);
  });
}

void HostsClients::Next(Client& client) {
  world_.After(random_.Between(kMilli, 2 * pace_), [this, &client] {
    if (!stopped_) Ask(client);
  });
}

void HostsClients::Done(Client& client, uint64_t operation, bool acknowledged) {
  if (client.operation != operation) return;  // it gave up long ago
  client.operation = 0;
  ++(acknowledged ? counters_.acknowledged : counters_.unknown);
  Next(client);
}

void HostsClients::Ask(Client& client) {
  client.operation = ++counters_.operations;
  const uint64_t operation = client.operation;
  world_.After(kTimeout, [this, &client, operation] { Done(client, operation, false); });
  bool read = random_.Chance(reads_);
  GroupId group = 1 + random_.Below(sim_.groups().size());
  if (!unserved_.empty()) {
    const auto it =
        std::next(unserved_.begin(), static_cast<long>(random_.Below(unserved_.size())));
    group = it->first;
    read = it->second;
  }
  const raft::ConfState& conf = sim_.groups()[group - 1].conf;
  SimHost& host = sim_.host(conf.voters[random_.Below(conf.voters.size())]);
  std::string value = absl::StrFormat("%d.%d ", client.id, operation);
  value.resize(std::max<size_t>(value.size(), random_.Below(size_max_)), 'x');
  // A read must see what was acknowledged by now.
  const raft::Index floor = sim_.groups()[group - 1].acknowledged;
  world_.After(sim_.network().DrawDelay(), [this, &client, operation, &host, group, read, floor,
                                            value = std::move(value)]() mutable {
    if (host.node(group) == nullptr) return;
    host.loop().Post(
        [this, &client, operation, &host, group, read, floor, value = std::move(value)]() mutable {
          if (host.node(group) == nullptr) return;
          if (read) {
            Read(client, operation, host, group, floor);
          } else {
            Write(client, operation, host, group, std::move(value));
          }
        });
  });
}

void HostsClients::Write(Client& client, uint64_t operation, SimHost& host, GroupId group,
                         std::string value) {
  world_.Note(host.id(), "client %d proposes #%d in group %d", client.id, operation, group);
  places_[value].group = group;
  waiting_[value] = {client.id - 1, operation, host.id(), host.life()};
  auto payload = std::make_shared<const std::string>(std::move(value));
  host.node(group)->Propose(payload, [this, &client, payload, operation](absl::Status) {
    waiting_.erase(*payload);
    ++counters_.refused;
    world_.After(sim_.network().DrawDelay(),
                 [this, &client, operation] { Done(client, operation, false); });
  });
}

void HostsClients::Read(Client& client, uint64_t operation, SimHost& host, GroupId group,
                        raft::Index floor) {
  host.node(group)->ReadIndex([this, &client, &host, group, operation,
                               floor](absl::StatusOr<raft::Index> index) {
    if (host.disk().dead()) return;
    if (index.ok() && *index < floor) {
      sim_.Fail("stale read",
                absl::StrFormat("client %d read group %d at index %d on host %x after "
                                "index %d was acknowledged",
                                client.id, group, *index, host.id(), floor));
    }
    world_.After(sim_.network().DrawDelay(), [this, &client, group, operation, ok = index.ok()] {
      if (ok) unserved_.erase({group, true});
      Done(client, operation, ok);
    });
  });
}

}  // namespace keel::sim
