#include "tests/sim/simulation.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutation.h"
#include "tests/sim/hosts_simulation.h"
#include "tests/sim/injector.h"

namespace keel::sim {

namespace {

// How long a healed cluster may take to elect, serve every client and agree.
constexpr Nanos kRecoveryLimit = 60 * kSecond;
constexpr Nanos kAgreementLimit = 30 * kSecond;
// A member that went down of its own is started again after at most this.
constexpr Nanos kRestartMax = 2 * kSecond;

// Raft alone runs with leases in some runs, drawn apart so that the others stay what they were.
bool WithLeases(const RunOptions& options) {
  return options.stack == Stack::kList && Random(options.seed ^ 0x1ea5e0ff5eedull).Chance(0.15);
}

std::set<FaultKind> AllowedKinds(const RunOptions& options) {
  std::set<FaultKind> kinds;
  for (size_t i = 0; i < static_cast<size_t>(FaultKind::kCount); ++i) {
    kinds.insert(static_cast<FaultKind>(i));
  }
  // etcd's API changes one member at a time, and so does the store.
  if (options.stack == Stack::kKv) kinds.erase(FaultKind::kSwap);
  if (WithLeases(options)) {
    // A lease is counted in ticks: whoever stands still counts too few (docs/raft.md). What
    // clocks drift apart (faults.cc: 4 % at most) is within what leases allow.
    for (const FaultKind kind :
         {FaultKind::kPause, FaultKind::kClockJump, FaultKind::kSlowDisk, FaultKind::kStallDisk}) {
      kinds.erase(kind);
    }
  }
  return kinds;
}

}  // namespace

Simulation::Simulation(const RunOptions& options)
    : options_(options),
      world_(options.seed),
      random_(world_.random().Fork()),
      first_conf_([this] {
        // Mostly three; sometimes five, four or two.
        static constexpr uint64_t kSizes[] = {3, 3, 3, 3, 3, 5, 5, 5, 4, 2};
        raft::ConfState conf;
        const uint64_t size = kSizes[random_.Below(std::size(kSizes))];
        for (uint64_t id = 1; id <= size; ++id) conf.voters.push_back(id);
        return conf;
      }()),
      network_(&world_),
      oracle_(&world_, first_conf_),
      membership_(this, first_conf_) {
  world_.set_trace(options.trace);
  network_.on_sent = [this](const raft::Message& message) { oracle_.raft().OnSent(message); };
  network_.on_error = [this](std::string text) { oracle_.Fail("transport", std::move(text)); };

  member_options_.cluster_id = 0xc1;
  member_options_.first_conf = first_conf_;
  member_options_.tick = std::chrono::milliseconds(random_.Chance(0.5) ? 100 : 50);
  member_options_.election_ticks = static_cast<uint64_t>(random_.Between(5, 12));
  member_options_.snapshot_count = static_cast<uint64_t>(random_.Between(5, 200));
  member_options_.catchup_entries = random_.Below(member_options_.snapshot_count + 1);
  member_options_.segment_bytes = 4096ull << random_.Below(5);
  member_options_.log_memory_bytes = random_.Chance(0.3) ? 1 << 20 : 1 << random_.Below(14);
  member_options_.lease_reads = WithLeases(options);
  member_options_.knows_all = options.stack == Stack::kList;

  workload_ = options.stack == Stack::kKv ? MakeKvWorkload(this) : MakeListWorkload(this);

  NetworkFaults weather;
  weather.delay_max = random_.Between(200 * kMicro, 20 * kMilli);
  if (random_.Chance(0.3)) weather.loss = 0.02 * random_.Unit();
  network_.set_faults(weather);
  plan_ = DerivePlan(
      options.seed,
      {.members = first_conf_.voters, .length = options.length, .kinds = AllowedKinds(options)});
  if (options.only) plan_ = Only(plan_, *options.only);
  injector_ = std::make_unique<Injector>(this, weather);
  for (const raft::NodeId id : first_conf_.voters) AddMember(id);
}

Simulation::~Simulation() = default;

SimMember& Simulation::AddMember(raft::NodeId id) {
  SimMemberOptions options = member_options_;
  options.id = id;
  options.seed = random_.Next();
  auto member =
      std::make_unique<SimMember>(&world_, &network_, &oracle_, std::move(options),
                                  [this](SimMember& each) { return workload_->MakeStack(each); });
  member->on_down = [this](SimMember& each) { OnDown(each); };
  member->on_conf = [this](SimMember& each, raft::Index index, const raft::ConfState& conf) {
    membership_.OnConf(each, index, conf);
  };
  if (membership_.Belongs(id)) member->set_was_in_conf();
  return *members_.emplace_back(std::move(member));
}

SimMember* Simulation::Find(raft::NodeId id) const {
  for (const auto& member : members_) {
    if (member->id() == id) return member.get();
  }
  return nullptr;
}

SimMember* Simulation::Leader() const {
  SimMember* leader = nullptr;
  for (const auto& member : members_) {
    if (!member->up() || member->node().role() != raft::Role::kLeader) continue;
    if (leader == nullptr || member->node().term() > leader->node().term()) leader = member.get();
  }
  return leader;
}

bool Simulation::Happened(FaultKind kind) const { return injector_->counts().contains(kind); }

SimMember& Simulation::AnyServer() {
  std::vector<SimMember*> servers;
  for (const auto& member : members_) {
    if (Belongs(*member) && !membership_.IsGone(member->id())) servers.push_back(member.get());
  }
  if (servers.empty()) return *members_[0];
  return *servers[world_.random().Below(servers.size())];
}

void Simulation::Join(raft::NodeId id) { StartNow(AddMember(id)); }

void Simulation::Restart(SimMember& member, SimDisk::CrashKind kind, Nanos down) {
  if (!member.running()) return;
  member.Crash(kind);
  StartLater(member, down);
}

void Simulation::StartLater(SimMember& member, Nanos delay) {
  world_.After(delay, [this, &member, life = member.life()] {
    if (!member.running() && member.life() == life && !membership_.IsGone(member.id())) {
      StartNow(member);
    }
  });
}

void Simulation::StartNow(SimMember& member) {
  member.set_excused(false);
  injector_->Refresh(member);
  const bool excused = member.excused();
  const absl::Status status = member.Start();
  if (status.ok()) return;
  if (member.damaged() && absl::IsDataLoss(status)) return Lost(member, status);
  // A dead disk (it may die while the member opens it) is a crash like any other.
  if (!excused && !absl::IsUnavailable(status)) {
    return oracle_.Fail("a member cannot start",
                        absl::StrFormat("member %x: %s", member.id(), status.ToString()));
  }
  if (PlansDiskFull()) member.disk().Crash(SimDisk::CrashKind::kPower);
  StartLater(member, world_.random().Between(10 * kMilli, kRestartMax));
}

bool Simulation::PlansDiskFull() const {
  return std::any_of(plan_.begin(), plan_.end(),
                     [](const Fault& fault) { return fault.kind == FaultKind::kDiskFull; });
}

void Simulation::OnDown(SimMember& member) {
  const bool died = member.disk().dead();
  if (member.damaged() && absl::IsDataLoss(member.fatal())) {
    const absl::Status status = member.fatal();
    member.Crash(SimDisk::CrashKind::kProcess);
    return Lost(member, status);
  }
  if (!died && !member.excused()) {
    return oracle_.Fail("a healthy member stopped",
                        absl::StrFormat("member %x: %s", member.id(), member.fatal().ToString()));
  }
  // After an I/O error on a disk that is also full there is no room to copy the log's last segment
  // (SegmentWriter::Settle), and only a reboot shows what is really there.
  const bool reboot = random_.Chance(0.5) || (!died && PlansDiskFull());
  Restart(member, reboot ? SimDisk::CrashKind::kPower : SimDisk::CrashKind::kProcess,
          world_.random().Between(10 * kMilli, kRestartMax));
}

// The member must say what is damaged, and where; then it is replaced.
void Simulation::Lost(SimMember& member, const absl::Status& status) {
  world_.Note(member.id(), "is lost: %s", status.ToString());
  ++lost_;
  if (status.message().find("/member/") == absl::string_view::npos) {
    oracle_.Fail("damage without a name",
                 absl::StrFormat("member %x: %s", member.id(), status.ToString()));
  }
  oracle_.raft().OnWiped(member.id());
  membership_.Replace(member);
}

void Simulation::Damage(SimMember& member) {
  // One at a time: a quorum must stay.
  if (membership_.voters() < 3 || membership_.someone_leaves()) return;
  if (!membership_.CanSpare(member)) return;
  for (const auto& other : members_) {
    if (other->damaged()) return;
  }
  if (member.running()) member.Crash(SimDisk::CrashKind::kPower);
  // Not the log's last segments: the torn end of a log looks just like a damaged one.
  std::vector<std::string> segments;
  for (const std::string& path : member.disk().Files()) {
    if (path.ends_with(".seg")) segments.push_back(path);
  }
  const size_t sparing = std::min<size_t>(2, segments.size());
  const std::set<std::string> newest(segments.end() - static_cast<long>(sparing), segments.end());
  static constexpr SimDisk::Damage kDamages[] = {SimDisk::Damage::kBitFlip, SimDisk::Damage::kZeros,
                                                 SimDisk::Damage::kGarbage};
  const auto sector = member.disk().CorruptRandomSector(
      [&](const std::string& path) {
        return (path.ends_with(".seg") && !newest.contains(path)) || path.ends_with(".sst") ||
               path.ends_with("/list");
      },
      kDamages[world_.random().Below(3)]);
  if (sector) {
    member.set_damaged();
    world_.Note(member.id(), "damaged %s at %d", sector->path, sector->offset);
  }
}

bool Simulation::RunUntil(Nanos end) {
  bool over = false;
  world_.At(end, [&over] { over = true; });
  while (!over && !oracle_.failed() && world_.Step()) oracle_.Check();
  return !oracle_.failed();
}

bool Simulation::Await(Nanos limit, const char* rule, const std::function<bool()>& condition) {
  const Nanos end = world_.now() + limit;
  while (!condition()) {
    if (world_.now() >= end) {
      oracle_.Fail(rule, absl::StrFormat("not within %.0f s of the faults' end: %s",
                                         static_cast<double>(limit) / kSecond, Standing()));
      return false;
    }
    if (!RunUntil(world_.now() + 100 * kMilli)) return false;
  }
  return true;
}

std::string Simulation::Standing() {
  std::string out;
  for (const auto& member : members_) {
    if (!member->up()) {
      absl::StrAppendFormat(&out, " %x is down;", member->id());
      continue;
    }
    const raft::Node& node = member->node();
    absl::StrAppendFormat(&out, " %x: leader=%x term=%d commit=%d applied=%d;", member->id(),
                          node.leader(), node.term(), node.commit_index(), node.applied_index());
  }
  return out;
}

bool Simulation::Agreed() {
  SimMember* const leader = Leader();
  if (leader == nullptr) return false;
  if (!membership_.Settled() || membership_.SomeoneAwaitsNotice()) return false;
  const raft::Index commit = leader->node().commit_index();
  for (const auto& member : members_) {
    if (!Belongs(*member)) continue;
    if (!member->up() || member->node().applied_index() != commit) return false;
  }
  return commit >= oracle_.raft().committed();
}

RunResult Simulation::Go() {
  for (const auto& member : members_) StartNow(*member);
  workload_->Start();
  injector_->Schedule(plan_);
  if (!RunUntil(options_.length)) return Result();

  world_.Note(0, "healing");
  injector_->HealAll();
  membership_.OnHealed();
  healed_ = true;
  for (const auto& member : members_) {
    if (!member->running()) StartLater(*member, kMilli);
  }
  workload_->OnHealed();
  if (!Await(kRecoveryLimit, "no progress", [this] { return workload_->Recovered(); })) {
    return Result();
  }
  workload_->Stop();
  if (!Await(kAgreementLimit, "no agreement", [this] { return workload_->Idle() && Agreed(); })) {
    return Result();
  }
  for (const auto& member : members_) {
    if (!Belongs(*member)) continue;
    if (member->node().applied_index() < oracle_.acknowledged()) {
      oracle_.Fail("durability", absl::StrFormat("index %d was acknowledged, member %x ends at %d",
                                                 oracle_.acknowledged(), member->id(),
                                                 member->node().applied_index()));
    }
  }
  workload_->CheckEnd();
  return Result();
}

RunResult Simulation::Result() {
  RunResult result;
  result.failed = oracle_.failed();
  result.failure = oracle_.failure();
  result.events = world_.events();
  result.virtual_time = world_.now();
  result.plan = plan_;
  auto& counters = result.counters;
  for (const auto& [kind, count] : injector_->counts()) counters[Name(kind)] = count;
  const NetworkCounters& network = network_.counters();
  counters["members lost to damage"] = lost_;
  counters["messages"] = network.sent;
  counters["messages lost"] = network.lost + network.cut;
  counters["messages duplicated"] = network.duplicated;
  counters["messages late"] = network.straggled;
  counters["messages corrupted"] = network.corrupted;
  counters["snapshots sent"] = network.snapshots_sent;
  counters["snapshots broken"] = network.snapshots_broken;
  for (const auto& member : members_) {
    const DiskCounters disk = member->disk().counters();
    counters["lives"] += member->life();
    counters["disk syncs"] += disk.syncs;
    counters["disk errors"] +=
        disk.write_errors + disk.sync_errors + disk.name_errors + disk.read_errors + disk.no_space;
    counters["writes lost in crashes"] += disk.dropped_writes;
    counters["writes torn in crashes"] += disk.torn_writes;
  }
  const WorkloadCounters work = workload_->counters();
  counters["operations"] = work.operations;
  counters["operations acknowledged"] = work.acknowledged;
  counters["operations unknown"] = work.unknown;
  counters["watch events"] = work.watch_events;
  counters["leases granted"] = work.leases;
  counters["entries committed"] = oracle_.raft().committed();
#ifdef KEEL_MUTATIONS
  counters["mutation hits"] = base::MutationHits();
#endif
  for (const auto& [name, count] : counters) world_.Mix(count);
  result.hash = world_.hash();
  return result;
}

FaultPlan PlanOf(const RunOptions& options) {
  return options.stack == Stack::kHosts ? HostsPlanOf(options) : Simulation(options).plan();
}

RunResult Run(const RunOptions& options) {
  if (options.stack == Stack::kHosts) return RunHosts(options);
  Simulation simulation(options);
  return simulation.Go();
}

}  // namespace keel::sim
