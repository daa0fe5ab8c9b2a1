#include "tests/sim/kv_stack.h"

#include "base/check.h"

namespace keel::sim {

using kvstore::Event;
using kvstore::FeedBatch;

namespace {

// Background work of the store is looked for this often.
constexpr Nanos kPumpMax = 40 * kMilli;
// 2026-01-01, so that ids look as they do in life.
constexpr uint64_t kEpochMs = 1767225600000;

}  // namespace

std::string PeerUrl(raft::NodeId id) {
  return absl::StrFormat("http://10.%d.%d.%d:2380", id >> 16 & 0xff, id >> 8 & 0xff, id & 0xff);
}

// Writes down what a member publishes.
class KvStack::Recorder final : public kvstore::FeedSubscriber {
 public:
  explicit Recorder(SimMember* member) : member_(*member) {}

  void OnRevisions(std::shared_ptr<const FeedBatch> batch) override {
    for (const kvstore::RevisionEvents& events : *batch) {
      Revision revision;
      revision.revision = events.revision;
      revision.at = member_.world().now();
      for (const Event& event : events.events) {
        Write& write = revision.writes.emplace_back();
        const kvstore::KeyValue& kv = event.kv;
        if (event.type == Event::Type::kDelete) {
          write.type = Write::Type::kDelete;
          write.kv.key = kv.key;
          write.kv.mod_revision = kv.mod_revision;
        } else {
          write.kv = {kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease};
        }
      }
      member_.oracle().Judge(member_.oracle().writes().Add(std::move(revision)));
    }
  }
  void OnReset(int64_t revision) override {
    member_.world().Note(member_.id(), "state replaced at revision=%d", revision);
  }

 private:
  SimMember& member_;
};

class KvStack::HeaderOf final : public watch::HeaderSource {
 public:
  explicit HeaderOf(const kvstore::Server* server) : server_(*server) {}
  watch::HeaderFields Header() const override {
    return {.cluster_id = server_.cluster_id(),
            .member_id = server_.member_id(),
            .raft_term = server_.raft_term()};
  }

 private:
  const kvstore::Server& server_;
};

KvStack::KvStack(SimMember* member, const KvStackOptions& options) : member_(*member) {
  RocksDbHostOptions host;
  host.now_ns = [&world = member->world()] { return static_cast<uint64_t>(world.now()); };
  host.seed = options.seed ^ member->life();
  host_ = std::make_unique<RocksDbHost>(member->disk(), std::move(host));

  kvstore::ServerOptions server;
  server.config = options.config;
  server.config.name = absl::StrFormat("m%x", member->id());
  server.config.data_dir = "/member";
  auto url = kvstore::ParseUrl(PeerUrl(member->id()));
  KEEL_CHECK(url.ok());
  server.config.advertise_client_urls = {*url};
  server.identity.cluster_id = member->options().cluster_id;
  server.identity.member_id = member->id();
  server.identity.name = server.config.name;
  server.loop = &member->loop();
  server.io_loops = {&member->loop()};
  server.worker_loops = {&member->worker()};
  server.fs = &member->disk();
  server.unix_ms = [member] {
    return kEpochMs + static_cast<uint64_t>(member->world().now() / kMilli);
  };

  kvstore::KvStateMachine::Options store;
  store.store = host_->Configure("/member/db");
  store.member_id = member->id();
  for (const raft::NodeId id : options.first_members) {
    store.initial_members.push_back(
        {.id = id, .name = absl::StrFormat("m%x", id), .peer_urls = {PeerUrl(id)}});
    server.identity.initial_members.push_back(
        {.id = id, .name = absl::StrFormat("m%x", id), .peer_urls = {PeerUrl(id)}});
  }
  for (const raft::NodeId id : options.contacts) {
    server.identity.contacts.push_back({.id = id, .name = "", .peer_urls = {PeerUrl(id)}});
  }
  store.max_learners = server.config.max_learners;
  server_ = std::make_unique<kvstore::Server>(std::move(server));
  server_->on_removed = options.on_removed;
  machine_ = kvstore::KvStateMachine::Create(std::move(store), server_.get());
}

KvStack::~KvStack() {
  *alive_ = false;
  // The machine before the server, which it calls, and before the host of its files.
  recorder_.reset();
  channel_.reset();
  rpc_.reset();
  watch_.reset();
  hub_.reset();
  machine_.reset();
  server_.reset();
}

void KvStack::Prepare(raft::NodeOptions* options) {
  const auto on_fatal = options->on_fatal;
  server_->FillNodeOptions(options);
  options->on_fatal = on_fatal;
}

void KvStack::Start(raft::Node* node, raft::Transport* transport) {
  recorder_ = std::make_unique<Recorder>(&member_);
  hub_ = std::make_unique<watch::Hub>(*machine_, member_.worker());
  member_.apply_loop().Enter([this] {
    machine_->Subscribe(recorder_.get());
    hub_->Start();
  });
  server_->Start(node, transport, machine_.get());
  header_ = std::make_unique<HeaderOf>(server_.get());
  watch::ServiceOptions options;
  options.has_leader = [this] { return !server_->LacksLeader(); };
  watch_ = std::make_unique<watch::Service>(*hub_, *header_, options);
  server_->SetOnLeaderMissing([this] { watch_->EndStreamsWithoutLeader(); });
  rpc_ = std::make_unique<rpc::Server>(std::vector<base::AsioLoop*>());
  server_->RegisterOn(rpc_.get());
  watch_->Register(*rpc_);
  channel_ = std::make_unique<rpc::LocalChannel>(*rpc_, member_.loop());
  PumpLater();
}

std::vector<raft::NodeId> KvStack::Peers() const {
  std::vector<raft::NodeId> peers;
  for (const kvstore::Member& member : machine_->members().List()) {
    if (member.id != member_.id()) peers.push_back(member.id);
  }
  return peers;
}

void KvStack::TearDown() {
  channel_.reset();  // cancels what is open
  server_->Stop();
}

void KvStack::PumpLater() {
  World& world = member_.world();
  world.After(world.random().Between(kMilli, kPumpMax), [this, alive = alive_] {
    if (!*alive || !member_.up()) return;
    if (host_->busy()) {
      member_.apply_loop().Post([this] { host_->Pump(); });
    }
    PumpLater();
  });
}

}  // namespace keel::sim
