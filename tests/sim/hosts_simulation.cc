#include "tests/sim/hosts_simulation.h"

#include <algorithm>

#include "base/check.h"
#include "tests/sim/hosts_clients.h"

namespace keel::sim {

using raft::ConfChange;
using raft::NodeId;
using Type = raft::ConfChangeSingle::Type;

namespace {

// As in simulation.cc, and how long sleeping groups may take to notice a host that died.
constexpr Nanos kRecoveryLimit = 60 * kSecond;
constexpr Nanos kAgreementLimit = 30 * kSecond;
constexpr Nanos kSleepLimit = 60 * kSecond;  // a snapshot is kept for 30 s, and its group awake
constexpr Nanos kSuccessionLimit = 30 * kSecond;
constexpr Nanos kRestartMax = 2 * kSecond;

bool Has(const std::vector<NodeId>& ids, NodeId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}
bool In(const raft::ConfState& conf, NodeId id) {
  return Has(conf.voters, id) || Has(conf.learners, id) || Has(conf.voters_outgoing, id) ||
         Has(conf.learners_next, id);
}

std::set<FaultKind> KindsFor(bool leases) {
  std::set<FaultKind> kinds;
  for (size_t i = 0; i < static_cast<size_t>(FaultKind::kCount); ++i) {
    kinds.insert(static_cast<FaultKind>(i));
  }
  // What a damaged log means for a host is a question for its operator.
  kinds.erase(FaultKind::kDamage);
  // A lease is counted in ticks: whoever stands still counts too few (docs/raft.md).
  if (leases) {
    for (const FaultKind kind :
         {FaultKind::kPause, FaultKind::kClockJump, FaultKind::kSlowDisk, FaultKind::kStallDisk}) {
      kinds.erase(kind);
    }
  }
  return kinds;
}

}  // namespace

HostsSimulation::HostsSimulation(const RunOptions& options)
    : options_(options), world_(options.seed), random_(world_.random().Fork()), network_(&world_) {
  world_.set_trace(options.trace);
  network_.on_sent = [this](const raft::Message& message) {
    if (message.group == raft::kHostGroup) return;
    if (message.group == raft::kNoGroup || message.group > groups_.size()) {
      return Fail("transport", absl::StrFormat("a message of group %d", message.group));
    }
    CheckerOf(message.group).OnSent(message);
  };
  network_.on_error = [this](std::string text) { Fail("transport", std::move(text)); };
  leases_ = random_.Chance(0.15);

  const uint64_t hosts = random_.Chance(0.7) ? 3 : 3 + random_.Below(3);
  const uint64_t groups = 2 + random_.Below(random_.Chance(0.2) ? 20 : 6);
  std::vector<NodeId> ids;
  for (NodeId id = 1; id <= hosts; ++id) ids.push_back(id);
  for (raft::GroupId id = 1; id <= groups; ++id) {
    Group group;
    group.setup.id = id;
    group.setup.lease_reads = leases_;
    group.setup.snapshot_count = static_cast<uint64_t>(random_.Between(5, 200));
    group.setup.catchup_entries = random_.Below(group.setup.snapshot_count + 1);
    // Three of the hosts.
    std::vector<NodeId> left = ids;
    while (group.setup.first_conf.voters.size() < 3) {
      const size_t at = random_.Below(left.size());
      group.setup.first_conf.voters.push_back(left[at]);
      left.erase(left.begin() + static_cast<long>(at));
    }
    std::sort(group.setup.first_conf.voters.begin(), group.setup.first_conf.voters.end());
    group.conf = group.setup.first_conf;
    group.asked.insert(group.conf.voters.begin(), group.conf.voters.end());
    group.checker = std::make_unique<RaftChecker>(group.conf);
    groups_.push_back(std::move(group));
  }

  SimHostOptions host;
  host.tick = std::chrono::milliseconds(random_.Chance(0.5) ? 100 : 50);
  host.election_ticks = static_cast<uint64_t>(random_.Between(5, 12));
  host.quiesce_ticks = static_cast<uint64_t>(random_.Between(2, 12));
  host.host_heartbeat_ticks = static_cast<uint64_t>(random_.Between(1, 4));
  host.host_suspect_ticks =
      host.host_heartbeat_ticks * static_cast<uint64_t>(random_.Between(3, 6));
  host.segment_bytes = 4096ull << random_.Below(5);
  host.log_memory_bytes = random_.Chance(0.3) ? 1 << 20 : 1 << random_.Below(14);
  for (const NodeId id : ids) {
    host.id = id;
    host.seed = random_.Next();
    host.groups.clear();
    for (const Group& group : groups_) {
      if (In(group.conf, id)) host.groups.push_back(group.setup);
    }
    hosts_.push_back(std::make_unique<SimHost>(&world_, &network_, host, this));
  }
  clients_ = std::make_unique<HostsClients>(this);

  weather_.delay_max = random_.Between(200 * kMicro, 20 * kMilli);
  if (random_.Chance(0.3)) weather_.loss = 0.02 * random_.Unit();
  network_.set_faults(weather_);
  plan_ = DerivePlan(options.seed,
                     {.members = ids, .length = options.length, .kinds = KindsFor(leases_)});
  if (options.only) plan_ = Only(plan_, *options.only);
}

HostsSimulation::~HostsSimulation() = default;

void HostsSimulation::Fail(std::string rule, std::string text) {
  if (failed_) return;
  failed_ = true;
  world_.Note(0, "FAILURE %s: %s", rule, text);
  failure_ = {std::move(rule), std::move(text), world_.now()};
}

// ---- hosts

void HostsSimulation::StartNow(SimHost& host) {
  host.set_excused(false);
  Refresh();
  const bool excused = host.excused();
  const absl::Status status = host.Start();
  if (status.ok()) return;
  // A dead disk (it may die while the host opens its log) is a crash like any other.
  if (!excused && !absl::IsUnavailable(status)) {
    return Fail("a host cannot start",
                absl::StrFormat("host %x: %s", host.id(), status.ToString()));
  }
  if (excused) host.disk().Crash(SimDisk::CrashKind::kPower);
  StartLater(host, world_.random().Between(10 * kMilli, kRestartMax));
}

void HostsSimulation::StartLater(SimHost& host, Nanos delay) {
  world_.After(delay, [this, &host, life = host.life()] {
    if (!host.running() && host.life() == life) StartNow(host);
  });
}

void HostsSimulation::Restart(SimHost& host, SimDisk::CrashKind kind, Nanos down) {
  if (!host.running()) return;
  host.Crash(kind);
  StartLater(host, down);
}

void HostsSimulation::OnDown(SimHost& host) {
  const bool died = host.disk().dead();
  if (!died && !host.excused()) {
    return Fail("a healthy host stopped",
                absl::StrFormat("host %x: %s", host.id(), host.fatal().ToString()));
  }
  // What an I/O error left is known for certain after a reboot only.
  const bool reboot = !died || random_.Chance(0.5);
  Restart(host, reboot ? SimDisk::CrashKind::kPower : SimDisk::CrashKind::kProcess,
          world_.random().Between(10 * kMilli, kRestartMax));
}

void HostsSimulation::OnApplied(SimHost& host, raft::GroupId id,
                                const raft::CommittedEntry& committed) {
  clients_->OnApplied(host, id, committed);
  if (committed.entry.type != raft::EntryType::kConfChange) return;
  Group& group = groups_[id - 1];
  if (committed.entry.index > group.conf_index) {
    group.conf_index = committed.entry.index;
    group.conf = committed.conf_after;
  }
  if (In(committed.conf_after, host.id()) || !In(group.setup.first_conf, host.id())) return;
  // It was a member from the first, and it is none now: nobody adds it again.
  world_.After(world_.random().Between(kMilli, 3 * kSecond), [this, &host, &group] {
    if (!In(group.conf, host.id()) && host.node(group.setup.id) != nullptr) {
      host.Drop(group.setup.id);
    }
  });
}

SimHost* HostsSimulation::LeaderOf(const Group& group) {
  SimHost* leader = nullptr;
  for (const auto& host : hosts_) {
    raft::Node* const node = host->node(group.setup.id);
    if (node == nullptr || node->role() != raft::Role::kLeader) continue;
    if (leader == nullptr || node->term() > leader->node(group.setup.id)->term()) {
      leader = host.get();
    }
  }
  return leader;
}

// ---- faults

void HostsSimulation::Begin(const Fault& fault) {
  world_.Note(0, "fault %s", Describe(fault));
  ++counts_[Name(fault.kind)];
  SimHost& host = this->host(fault.member);
  switch (fault.kind) {
    case FaultKind::kCrash:
      return Restart(host, SimDisk::CrashKind::kPower, fault.length);
    case FaultKind::kKill:
      // Half of them are told before.
      if (fault.value % 2 == 0) return Restart(host, SimDisk::CrashKind::kProcess, fault.length);
      ++counts_["orderly stops"];
      return host.Leave(fault.length,
                        [this, &host, down = fault.length] { StartLater(host, down); });
    case FaultKind::kCrashAll:
      for (const auto& each : hosts_) {
        Restart(*each, SimDisk::CrashKind::kPower, world_.random().Between(kMilli, fault.length));
      }
      return;
    case FaultKind::kCrashAtWrite:
      if (host.up()) host.disk().DieAfter(fault.value);
      return;
    case FaultKind::kPause:
      return host.Stall(world_.now() + fault.length);
    case FaultKind::kClockJump:
      return host.clock().JumpAhead(static_cast<Nanos>(fault.value));
    case FaultKind::kClockRate:
      host.clock().SetRate(static_cast<int64_t>(fault.value) - (1ll << 32));
      break;
    case FaultKind::kTransfer:
      return Transfer(fault);
    case FaultKind::kAddMember:
    case FaultKind::kPromote:
    case FaultKind::kRemove:
    case FaultKind::kSwap:
      return ChangeMembers(fault);
    case FaultKind::kFlap:
      Flap(fault, true);
      break;
    default:
      break;
  }
  active_.emplace(fault.number, fault);
  if (IsSplit(fault.kind)) CutLinks(fault, true);
  Refresh();
  world_.After(fault.length, [this, fault] { End(fault); });
}

void HostsSimulation::End(const Fault& fault) {
  if (active_.erase(fault.number) == 0) return;
  world_.Note(0, "fault #%d ends", fault.number);
  CutLinks(fault, false);
  if (fault.kind == FaultKind::kClockRate) host(fault.member).clock().SetRate(0);
  Refresh();
}

void HostsSimulation::Flap(Fault fault, bool cut) {
  world_.After(0, [this, fault, cut] {
    if (active_.contains(fault.number)) CutLinks(fault, cut);
  });
  world_.After(world_.random().Between(50 * kMilli, 1200 * kMilli), [this, fault, cut] {
    if (active_.contains(fault.number)) Flap(fault, !cut);
  });
}

void HostsSimulation::CutLinks(const Fault& fault, bool cut) {
  auto& links = cut_[fault.number];
  for (const auto& [from, to] : links) network_.Mend(from, to);
  links.clear();
  if (!cut) return;
  std::vector<NodeId> ids;
  for (const auto& host : hosts_) ids.push_back(host->id());
  links = LinksCut(fault, ids);
  for (const auto& [from, to] : links) network_.Cut(from, to);
}

void HostsSimulation::Refresh() {
  NetworkFaults weather = weather_;
  for (const auto& [number, fault] : active_) Worsen(fault, &weather);
  network_.set_faults(weather);
  for (const auto& host : hosts_) {
    const SimDiskOptions usual;
    DiskCondition disk{.latency = usual.latency, .capacity = usual.capacity_bytes};
    for (const auto& [number, fault] : active_) {
      if (fault.member == host->id()) Worsen(fault, host->disk().used_bytes(), &disk);
    }
    if (disk.excuses) host->set_excused(true);
    host->disk().set_faults(disk.faults);
    host->disk().set_latency(disk.latency);
    host->disk().set_capacity(disk.capacity);
  }
}

void HostsSimulation::HealAll() {
  over_ = true;
  while (!active_.empty()) End(Fault(active_.begin()->second));
  network_.MendAll();
  for (const auto& host : hosts_) host->disk().DieAfter(0);
}

void HostsSimulation::Transfer(const Fault& fault) {
  const raft::GroupId group = 1 + fault.value % groups_.size();
  SimHost* const leader = LeaderOf(groups_[group - 1]);
  // Sometimes by way of a follower.
  SimHost* const asked = fault.value % 4 == 0 ? &host(fault.member) : leader;
  if (asked == nullptr || asked->node(group) == nullptr) return;
  asked->loop().Post([asked, group, to = fault.member] {
    if (raft::Node* const node = asked->node(group)) node->TransferLeadership(to, nullptr);
  });
}

void HostsSimulation::ChangeMembers(const Fault& fault) {
  Group& group = groups_[fault.value % groups_.size()];
  const raft::GroupId id = group.setup.id;
  SimHost* const leader = LeaderOf(group);
  if (leader == nullptr) return;
  SimHost* spare = nullptr;
  for (const auto& host : hosts_) {
    if (host->up() && !group.asked.contains(host->id())) spare = host.get();
  }
  ConfChange change;
  if (fault.kind == FaultKind::kPromote) {
    if (group.conf.learners.empty()) return;
    change.changes.push_back({Type::kAddVoter, group.conf.learners[0]});
  }
  if (fault.kind == FaultKind::kRemove || fault.kind == FaultKind::kSwap) {
    if (!Has(group.conf.voters, fault.member) || group.conf.voters.size() < 3) return;
    change.changes.push_back({Type::kRemove, fault.member});
  }
  if (fault.kind == FaultKind::kAddMember || fault.kind == FaultKind::kSwap) {
    if (spare == nullptr) return;
    const bool learner = fault.kind == FaultKind::kAddMember && fault.value % 2 == 1;
    change.changes.push_back({learner ? Type::kAddLearner : Type::kAddVoter, spare->id()});
    group.asked.insert(spare->id());
    if (const absl::Status joined = spare->Join(group.setup);
        !joined.ok() && !spare->excused() && !spare->disk().dead()) {
      return Fail("a host cannot join", joined.ToString());
    }
  }
  leader->loop().Post([this, leader, id, change = std::move(change)] {
    raft::Node* const node = leader->node(id);
    if (node == nullptr) return;
    node->ProposeConfChange(change, [this](absl::Status refused) {
      world_.Note(0, "membership change refused: %s", refused.ToString());
    });
  });
}

// ---- the run

void HostsSimulation::Check() {
  for (const Group& group : groups_) {
    const Verdict& verdict = group.checker->verdict();
    if (verdict.violated()) {
      return Fail(verdict.rule, absl::StrFormat("group %d: %s", group.setup.id, verdict.text));
    }
  }
}

bool HostsSimulation::RunUntil(Nanos end) {
  bool over = false;
  world_.At(end, [&over] { over = true; });
  while (!over && !failed_ && world_.Step()) Check();
  return !failed_;
}

bool HostsSimulation::Await(Nanos limit, const char* rule, const std::function<bool()>& condition) {
  const Nanos end = world_.now() + limit;
  while (!condition()) {
    if (world_.now() >= end) {
      Fail(rule, absl::StrFormat("not within %.0f s: %s", static_cast<double>(limit) / kSecond,
                                 Standing()));
      return false;
    }
    if (!RunUntil(world_.now() + 100 * kMilli)) return false;
  }
  return true;
}

std::string HostsSimulation::Standing() {
  std::string out;
  for (const auto& host : hosts_) {
    if (!host->up()) {
      absl::StrAppendFormat(&out, " host %x is down;", host->id());
      continue;
    }
    absl::StrAppendFormat(&out, " host %x: %d groups awake;", host->id(),
                          host->counters().active_groups);
    for (const SimGroup& group : host->groups()) {
      if (const raft::Node* const node = host->node(group.id)) {
        absl::StrAppendFormat(&out, " %d: leader=%x term=%d commit=%d applied=%d;", group.id,
                              node->leader(), node->term(), node->commit_index(),
                              node->applied_index());
      }
    }
  }
  return out;
}

bool HostsSimulation::Agreed() {
  for (const Group& group : groups_) {
    SimHost* const leader = LeaderOf(group);
    if (leader == nullptr || !group.conf.voters_outgoing.empty()) return false;
    const raft::Index commit = leader->node(group.setup.id)->commit_index();
    if (commit < group.checker->committed()) return false;
    for (const auto& host : hosts_) {
      if (!In(group.conf, host->id())) continue;
      const raft::Node* const node = host->node(group.setup.id);
      if (node == nullptr || node->applied_index() != commit) return false;
    }
  }
  return true;
}

bool HostsSimulation::Asleep() {
  return std::all_of(hosts_.begin(), hosts_.end(), [](const auto& host) {
    return host->up() && host->counters().active_groups == 0;
  });
}

RunResult HostsSimulation::Go() {
  for (const auto& host : hosts_) StartNow(*host);
  clients_->Start();
  for (const Fault& fault : plan_) {
    world_.At(fault.at, [this, fault] {
      if (!over_) Begin(fault);
    });
  }
  if (!RunUntil(options_.length)) return Result();

  world_.Note(0, "healing");
  HealAll();
  for (const auto& host : hosts_) {
    if (!host->running()) StartLater(*host, kMilli);
  }
  clients_->OnHealed();
  if (!Await(kRecoveryLimit, "no progress", [this] { return clients_->Recovered(); })) {
    return Result();
  }
  clients_->Stop();
  if (!Await(kAgreementLimit, "no agreement", [this] { return clients_->Idle() && Agreed(); })) {
    return Result();
  }
  for (const Group& group : groups_) {
    const raft::Index applied = LeaderOf(group)->node(group.setup.id)->applied_index();
    if (applied < group.acknowledged) {
      Fail("durability", absl::StrFormat("group %d: index %d was acknowledged, all end at %d",
                                         group.setup.id, group.acknowledged, applied));
    }
    // Hosts that were to join, or never heard that they are out, wait for nothing now.
    for (const auto& host : hosts_) {
      if (!In(group.conf, host->id()) && host->node(group.setup.id) != nullptr) {
        host->Drop(group.setup.id);
      }
    }
  }
  if (leases_ || failed_) return Result();  // Groups with leases never sleep.
  if (!Await(kSleepLimit, "groups that do not fall asleep", [this] { return Asleep(); })) {
    return Result();
  }
  // While all sleep, a host dies: its groups must notice, and find another leader.
  SimHost& dead = *hosts_[random_.Below(hosts_.size())];
  for (const auto& host : hosts_) quiesced_ += host->counters().quiesced;
  dead.Crash(SimDisk::CrashKind::kPower);
  Await(kSuccessionLimit, "sleeping groups do not miss their leader", [&] {
    return std::all_of(groups_.begin(), groups_.end(), [&](const Group& group) {
      return group.conf.voters.size() < 3 || LeaderOf(group) != nullptr;
    });
  });
  return Result();
}

RunResult HostsSimulation::Result() {
  RunResult result;
  result.failed = failed_;
  result.failure = failure_;
  result.events = world_.events();
  result.virtual_time = world_.now();
  result.plan = plan_;
  auto& counters = result.counters;
  counters = counts_;
  const NetworkCounters& network = network_.counters();
  counters["messages"] = network.sent;
  counters["messages lost"] = network.lost + network.cut;
  counters["messages late"] = network.straggled;
  counters["snapshots sent"] = network.snapshots_sent;
  for (const auto& host : hosts_) {
    const DiskCounters disk = host->disk().counters();
    counters["lives"] += host->life();
    counters["disk syncs"] += disk.syncs;
    counters["disk errors"] +=
        disk.write_errors + disk.sync_errors + disk.name_errors + disk.read_errors + disk.no_space;
    counters["writes lost in crashes"] += disk.dropped_writes;
    counters["writes torn in crashes"] += disk.torn_writes;
  }
  const WorkloadCounters& work = clients_->counters();
  counters["operations"] = work.operations;
  counters["operations acknowledged"] = work.acknowledged;
  counters["operations unknown"] = work.unknown;
  counters["groups"] = groups_.size();
  counters["groups fallen asleep"] = quiesced_;
  for (const Group& group : groups_) counters["entries committed"] += group.checker->committed();
  for (const auto& [name, count] : counters) world_.Mix(count);
  result.hash = world_.hash();
  return result;
}

FaultPlan HostsPlanOf(const RunOptions& options) { return HostsSimulation(options).plan(); }

RunResult RunHosts(const RunOptions& options) { return HostsSimulation(options).Go(); }

}  // namespace keel::sim
