// The whole store under its clients, and what must be true of all they saw.
#include <algorithm>

#include "kvstore/api/rpc.pb.h"
#include "kvstore/apply/command.pb.h"
#include "kvstore/mvcc/read_view.h"
#include "tests/sim/check/linearizability.h"
#include "tests/sim/kv_clients.h"

namespace keel::sim {
namespace {

// Quiet time at the end: every lease has run out by then, and watchers have caught up.
constexpr Nanos kQuiet = 18 * kSecond;
constexpr Nanos kExpiryBound = 8 * kSecond;
// Configurations that the search may visit before it gives up.
constexpr uint64_t kSearchMax = 50'000;
constexpr double kDrift = 0.021;  // as FaultKind::kClockRate, and a rounding more

class KvWorkload final : public Workload {
 public:
  explicit KvWorkload(Simulation* simulation) : shared_(simulation) {
    Random& random = shared_.random;
    std::vector<std::string> keys;
    const uint64_t key_count = 1 + random.Below(8);
    for (uint64_t i = 0; i < key_count; ++i) keys.push_back(absl::StrFormat("k%d", i));
    const Nanos pace = random.Between(20 * kMilli, 400 * kMilli);
    const uint64_t clients = 2 + random.Below(4);
    for (uint64_t id = 1; id <= clients; ++id) {
      clients_.push_back(std::make_unique<KvClient>(&shared_, id, keys, pace));
    }
    const uint64_t watchers = random.Below(4);
    for (uint64_t id = 1; id <= watchers; ++id) {
      const bool all = random.Chance(0.5);
      watchers_.push_back(
          std::make_unique<KvWatcher>(&shared_, id, all ? "k" : keys[0], all ? "m" : ""));
    }
    const uint64_t leases = random.Below(4);
    for (uint64_t id = 1; id <= leases; ++id) {
      lease_clients_.push_back(std::make_unique<KvLeaseClient>(&shared_, id));
    }
    seed_ = random.Next();
  }

  std::unique_ptr<MemberStack> MakeStack(SimMember& member) override {
    KvStackOptions options;
    const SimMemberOptions& m = member.options();
    options.config.heartbeat_ms = static_cast<uint64_t>(m.tick / std::chrono::milliseconds(1));
    options.config.election_ms = options.config.heartbeat_ms * m.election_ticks;
    options.config.snapshot_count = m.snapshot_count;
    options.config.snapshot_catchup_entries = m.catchup_entries;
    options.config.disk_reserve_bytes = 64 << 10;
    options.first_members = m.first_conf.voters;
    options.seed = seed_ + member.id();
    options.on_removed = [this, &member] { shared_.sim.membership().OnToldRemoved(member); };
    if (!member.was_in_conf()) {
      for (const auto& other : shared_.sim.members()) {
        if (other->id() != member.id()) options.contacts.push_back(other->id());
      }
    }
    return std::make_unique<KvStack>(&member, options);
  }

  std::string ChangeContext(const raft::ConfChange& change) override {
    kv::MemberChange context;
    for (const raft::ConfChangeSingle& single : change.changes) {
      context.mutable_member()->set_id(single.node);
      if (single.type == raft::ConfChangeSingle::Type::kRemove) continue;
      context.mutable_member()->add_peerurls(PeerUrl(single.node));
      context.set_promote(shared_.sim.membership().Belongs(single.node));
    }
    return context.SerializeAsString();
  }

  void Start() override {
    for (auto& client : clients_) client->Start();
    for (auto& watcher : watchers_) watcher->Start();
    for (auto& client : lease_clients_) client->Start();
  }
  void OnHealed() override {
    for (auto& client : clients_) client->OnHealed();
    Disarm();
  }
  bool Recovered() const override {
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->recovered(); });
  }
  void Stop() override {
    shared_.stopped = true;
    stopped_at_ = shared_.world.now();
  }
  bool Idle() const override {
    if (shared_.world.now() < stopped_at_ + kQuiet) return false;
    const int64_t last = const_cast<KvShared&>(shared_).sim.oracle().writes().last();
    for (const auto& watcher : watchers_) {
      if (!watcher->CaughtUp(last)) return false;
    }
    return std::all_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->idle(); });
  }

  void CheckEnd() override {
    Oracle& oracle = shared_.sim.oracle();
    const WriteLog& log = oracle.writes();
    CheckMembers(&oracle);
    History all, plain;
    for (const auto& client : clients_) {
      for (const Operation& operation : client->history()) {
        all.push_back(operation);
        plain.push_back(operation);
      }
    }
    for (const auto& client : lease_clients_) {
      for (const Operation& operation : client->history()) all.push_back(operation);
    }
    const auto by_time = [](const Operation& a, const Operation& b) {
      return a.invoked < b.invoked;
    };
    std::stable_sort(all.begin(), all.end(), by_time);
    std::stable_sort(plain.begin(), plain.end(), by_time);
    oracle.Judge(CheckRevisions(all, log));
    oracle.Judge(CheckLinearizable(plain, {.max_states = kSearchMax}));
    for (const auto& watcher : watchers_) {
      for (const auto& chain : watcher->chains()) oracle.Judge(CheckResumed(chain, log));
      oracle.Judge(CheckCaughtUp(watcher->chains().back().back(), log, log.last()));
    }
    // A clock that jumps takes the leases with it: the promise is one of the leader's clock.
    const bool jumps = shared_.sim.Happened(FaultKind::kClockJump);
    LeaseCheckOptions options;
    options.drift = kDrift;
    options.stable_from = stopped_at_;
    options.end = shared_.world.now();
    options.expiry_bound = kExpiryBound;
    for (const auto& client : lease_clients_) {
      for (const auto& lease : client->leases()) {
        if (!jumps) oracle.Judge(CheckLease(*lease, log, options));
      }
    }
  }

  WorkloadCounters counters() const override {
    WorkloadCounters counters = shared_.counters;
    for (const auto& watcher : watchers_) counters.watch_events += watcher->events();
    return counters;
  }

 private:
  // As an operator would: the alarms of members that are gone stand until somebody lowers them.
  void Disarm() {
    if (shared_.stopped) return;
    for (const raft::NodeId id : shared_.sim.membership().gone()) {
      etcdserverpb::AlarmRequest request;
      request.set_action(etcdserverpb::AlarmRequest::DEACTIVATE);
      request.set_memberid(id);
      request.set_alarm(etcdserverpb::NOSPACE);
      shared_.Call(shared_.AnyMember(), "/etcdserverpb.Maintenance/Alarm",
                   request.SerializeAsString(), nullptr, [](absl::StatusOr<std::string>) {});
    }
    // And makes room. Any entry has the store try its disk again: the thread of RocksDB's that
    // would notice by itself does not exist here (RocksDbHost::Tune).
    etcdserverpb::CompactionRequest compact;
    compact.set_revision(shared_.newest);
    shared_.Call(shared_.AnyMember(), "/etcdserverpb.KV/Compact", compact.SerializeAsString(),
                 nullptr, [](absl::StatusOr<std::string>) {});
    shared_.world.After(3 * kSecond, [this] { Disarm(); });
  }

  // Every member holds exactly what the log says.
  void CheckMembers(Oracle* oracle) {
    const WriteLog& log = oracle->writes();
    const std::vector<KeyVersion> wanted =
        log.RangeAt(std::string(1, '\0'), std::string(1, '\0'), log.last());
    for (const auto& member : shared_.sim.members()) {
      if (!member->up() || !shared_.sim.Belongs(*member)) continue;
      const auto view = static_cast<KvStack&>(member->stack()).store().view();
      std::vector<KeyVersion> found;
      kvstore::RangeOptions range;
      const std::string zero(1, '\0');
      range.key = zero;
      range.range_end = zero;
      const auto result = view->Range(range, [&](const kvstore::RecordView& record) {
        found.push_back({std::string(record.key), std::string(record.value), record.create_revision,
                         record.mod_revision, record.version, record.lease});
        return true;
      });
      // What a damaged disk must lead to.
      if (member->damaged() && absl::IsDataLoss(result.status())) continue;
      if (!result.ok()) {
        oracle->Fail("members differ", absl::StrFormat("member %x cannot be read: %s", member->id(),
                                                       result.status().ToString()));
      } else if (view->revision() != log.last() || found != wanted) {
        oracle->Fail("members differ",
                     absl::StrFormat("member %x at revision %d of %d holds %d keys, %d are wanted",
                                     member->id(), view->revision(), log.last(), found.size(),
                                     wanted.size()));
      }
    }
  }

  KvShared shared_;
  uint64_t seed_ = 0;
  Nanos stopped_at_ = kNever / 2;
  std::vector<std::unique_ptr<KvClient>> clients_;
  std::vector<std::unique_ptr<KvWatcher>> watchers_;
  std::vector<std::unique_ptr<KvLeaseClient>> lease_clients_;
};

}  // namespace

std::unique_ptr<Workload> MakeKvWorkload(Simulation* simulation) {
  return std::make_unique<KvWorkload>(simulation);
}

}  // namespace keel::sim
