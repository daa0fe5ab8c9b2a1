#include "kvstore/server/server.h"

#include <future>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "kvstore/apply/command.pb.h"
#include "kvstore/server/auth_gate.h"
#include "kvstore/server/auth_service.h"
#include "kvstore/server/auto_compactor.h"
#include "kvstore/server/cluster_service.h"
#include "kvstore/server/context.h"
#include "kvstore/server/corruption_check.h"
#include "kvstore/server/http_service.h"
#include "kvstore/server/introspection.h"
#include "kvstore/server/join.h"
#include "kvstore/server/kv_service.h"
#include "kvstore/server/leader_calls.h"
#include "kvstore/server/leader_streams.h"
#include "kvstore/server/lease_service.h"
#include "kvstore/server/lessor.h"
#include "kvstore/server/level_keeper.h"
#include "kvstore/server/maintenance_service.h"
#include "kvstore/server/proposals.h"
#include "kvstore/server/range_stream.h"
#include "kvstore/server/read_gate.h"
#include "kvstore/server/server_metrics.h"
#include "kvstore/server/snapshot_service.h"
#include "kvstore/server/space_watch.h"
#include "kvstore/server/url.h"

namespace keel::kvstore {

namespace pb = etcdserverpb;
using base::StrCat;

namespace {

constexpr base::Duration kTick = std::chrono::milliseconds(100);
constexpr uint64_t kTicksPerSecond = 10;

Lessor::Options LessorOptions(base::Loop* loop, const ServerConfig& config, Proposals* proposals) {
  Lessor::Options options;
  options.loop = loop;
  options.election = config.election();
  options.revoke = [proposals](int64_t id, uint64_t term) {
    pb::LeaseRevokeRequest request;
    request.set_id(id);
    proposals->Propose(
        CommandField::kLeaseRevoke, request.SerializeAsString(), [](absl::Status, ApplyResult*) {},
        term);
  };
  options.checkpoint = [proposals](const std::vector<Lease>& leases, uint64_t term) {
    pb::LeaseCheckpointRequest request;
    for (const Lease& lease : leases) {
      pb::LeaseCheckpoint* checkpoint = request.add_checkpoints();
      checkpoint->set_id(lease.id);
      checkpoint->set_remaining_ttl(lease.remaining_ttl);
    }
    proposals->Propose(
        CommandField::kLeaseCheckpoint, request.SerializeAsString(),
        [](absl::Status, ApplyResult*) {}, term);
  };
  return options;
}

// "http://host:port" of a peer → "host:port" ("https://" stays). A member may have several URLs:
// the first that parses.
std::string PeerAddress(const std::vector<std::string>& peer_urls) {
  for (const std::string& text : peer_urls) {
    if (const absl::StatusOr<Url> url = ParseUrl(text); url.ok()) return url->PeerAddress();
  }
  return "";
}

// Runs `task` on the loop and waits for it.
void RunOn(base::Loop& loop, base::Task task) {
  if (loop.InLoop()) return task();
  std::promise<void> done;
  loop.Post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace

struct Server::Parts {
  explicit Parts(ServerOptions options)
      : context(std::move(options.config), options.identity.cluster_id, options.identity.member_id,
                std::move(options.unix_ms)),
        identity(options.identity),
        proposals(&context),
        lessor(LessorOptions(options.loop, context.config, &proposals)),
        space(&context, &proposals, options.fs != nullptr ? options.fs : &base::PosixFileSystem()),
        compactor(&context, &proposals),
        tokens(options.tokens != nullptr ? std::move(options.tokens)
                                         : std::make_unique<Tokens>(context.config.auth_token_ttl,
                                                                    nullptr, context.unix_ms)),
        snapshots(&context, options.fs != nullptr ? options.fs : &base::PosixFileSystem()) {
    context.loop = options.loop;
    context.io_loops = std::move(options.io_loops);
    context.worker_loops = std::move(options.worker_loops);
    KEEL_CHECK(!context.worker_loops.empty());
    std::vector<ReadGate*> all;
    for (base::Loop* loop : context.io_loops) {
      all.push_back(gates.emplace_back(std::make_unique<ReadGate>(&context, loop)).get());
    }
    KEEL_CHECK(!all.empty() && &all[0]->loop() == context.loop);
    context.space = &space;
    context.leader_streams = &leader_streams;
    calls.emplace(&context, all[0]);
    auth_gate.emplace(&context, tokens.get(), all);
    context.auth_gate = &*auth_gate;
    auth.emplace(&context, &proposals, &*auth_gate, tokens.get());
    kv.emplace(&context, &proposals, &*auth_gate);
    corruption.emplace(&context, &proposals, &*calls);
    levels.emplace(&context, &proposals, &*calls);
    lease.emplace(&context, &proposals, all[0], &lessor, &*calls);
    cluster.emplace(&context, &proposals, all[0], &*calls);
    maintenance.emplace(&context, &proposals);
    metrics.slow_reads = [this] {
      uint64_t total = 0;
      for (const auto& gate : gates) total += gate->slow_total();
      return total;
    };
    metrics.failed_read_indexes = [this] {
      uint64_t total = 0;
      for (const auto& gate : gates) total += gate->failed_total();
      return total;
    };
    http.emplace(&context, all[0], &metrics);
  }

  ServerContext context;
  const Identity identity;
  Proposals proposals;
  std::vector<std::unique_ptr<ReadGate>> gates;  // one for each I/O loop
  Lessor lessor;
  LeaderStreams leader_streams;
  std::optional<LeaderCalls> calls;
  std::optional<CorruptionCheck> corruption;
  std::optional<LevelKeeper> levels;
  SpaceWatch space;
  AutoCompactor compactor;
  std::unique_ptr<Tokens> tokens;
  std::optional<AuthGate> auth_gate;
  std::optional<AuthService> auth;
  SnapshotService snapshots;
  std::optional<KvService> kv;
  std::optional<LeaseService> lease;
  std::optional<ClusterService> cluster;
  std::optional<MaintenanceService> maintenance;
  std::optional<HttpService> http;
  ServerMetrics metrics{&context, &proposals};

  // Set by Start: before, what apply says is on its way to be read from the tables.
  std::atomic<bool> started{false};
  bool stopped = false;  // the rest: on the loop
  bool removed = false;
  bool published = false;
  bool publishing = false;
  bool proposing_version = false;
  uint64_t ticks = 0;
  raft::SoftState state;
  base::TimerId timer = 0;
  base::TimePoint leader_seen{};
  bool leader_missing = false;
  std::function<void()> on_leader_missing;
  std::function<void()> on_auth_changed;
  std::function<void()> on_ready;
  std::map<uint64_t, std::string> peers;  // address by id, as the transport knows them
};

Server::Server(ServerOptions options) : parts_(std::make_unique<Parts>(std::move(options))) {}

Server::~Server() { Stop(); }

void Server::FillNodeOptions(raft::NodeOptions* options) {
  options->on_state_change = [this](const raft::SoftState& state, raft::Term term) {
    OnStateChange(state, term);
  };
  options->on_user_message = [this](raft::NodeId from, std::string payload) {
    if (parts_->started.load() && !parts_->stopped) parts_->calls->OnUserMessage(from, payload);
  };
  options->on_removed = [this](raft::NodeId, raft::Index) { PostToLoop([this] { Removed(); }); };
  options->on_log_sync = [this](base::Duration took) { parts_->metrics.wal_fsync.Observe(took); };
}

void Server::Start(raft::Node* node, raft::Transport* transport, KvStateMachine* machine) {
  ServerContext& context = parts_->context;
  context.node = node;
  context.transport = transport;
  context.machine = machine;
  context.auth = &machine->auth();
  parts_->snapshots.Start();
  RunOn(*context.loop, [this] {
    parts_->started.store(true);
    ReadState();
    // The node may have begun to lead before the server could hear of it.
    raft::SoftState state{.leader = parts_->context.node->leader(),
                          .role = parts_->context.node->role()};
    parts_->state = raft::SoftState();
    OnStateChange(state, parts_->context.node->term());
    Tick();
  });
}

absl::Status Server::CheckAgainstPeers() {
  std::promise<absl::Status> result;
  parts_->context.loop->Post([&] {
    parts_->corruption->CheckAgainstPeers(
        [&](absl::Status status) { result.set_value(std::move(status)); });
  });
  return result.get_future().get();
}

void Server::RegisterOn(rpc::Server* server) {
  KEEL_CHECK(parts_->started.load());
  parts_->kv->RegisterOn(server);
  parts_->lease->RegisterOn(server);
  parts_->cluster->RegisterOn(server);
  parts_->maintenance->RegisterOn(server);
  parts_->auth->RegisterOn(server);
  parts_->snapshots.RegisterOn(server);
  RangeStream::RegisterOn(server, &parts_->context, parts_->context.auth_gate);
  RegisterHealth(server, &parts_->context);
  RegisterReflection(server);
  server->SetHttpHandler(HttpHandler());
  parts_->metrics.rpc_servers.push_back(server);
}

rpc::Server::HttpHandler Server::HttpHandler() {
  return [http = &*parts_->http](rpc::HttpRequest request, rpc::HttpRespond respond) {
    http->Handle(std::move(request), std::move(respond));
  };
}

void Server::AddMetrics(std::function<void(std::string* out)> append) {
  parts_->metrics.more.push_back(std::move(append));
}

void Server::SetOnLeaderMissing(std::function<void()> callback) {
  parts_->context.loop->Post([this, callback = std::move(callback)]() mutable {
    parts_->on_leader_missing = std::move(callback);
  });
}

void Server::SetOnReady(std::function<void()> callback) {
  parts_->context.loop->Post([this, callback = std::move(callback)]() mutable {
    if (parts_->published) return callback();
    parts_->on_ready = std::move(callback);
  });
}

void Server::SetOnAuthChanged(std::function<void()> callback) {
  parts_->context.loop->Post([this, callback = std::move(callback)]() mutable {
    parts_->on_auth_changed = std::move(callback);
  });
}

AuthGate& Server::auth_gate() { return *parts_->auth_gate; }

void Server::Stop() {
  if (!parts_->started.load()) return;
  parts_->auth->Stop();
  parts_->snapshots.Stop();
  ServerContext& context = parts_->context;
  for (size_t i = 0; i < context.io_loops.size(); ++i) {
    RunOn(*context.io_loops[i], [this, i] {
      if (i == 0 && !parts_->stopped) {
        parts_->stopped = true;
        parts_->context.loop->Cancel(parts_->timer);
        parts_->lessor.Follow();
        parts_->calls->Stop();
        parts_->proposals.Stop();
      }
      parts_->gates[i]->Stop();
    });
  }
  parts_->started.store(false);
}

std::string Server::EncodeHeader(int64_t revision) const {
  std::string out;
  parts_->context.AppendHeader(revision, &out);
  return out;
}

std::string Server::Introduction() const {
  if (!parts_->started.load()) return "";
  return EncodeClusterInfo(parts_->identity, parts_->context.machine->members().List());
}

raft::Index Server::RemovedAt(uint64_t id) const {
  return parts_->started.load() ? parts_->context.machine->members().RemovedAt(id) : 0;
}

uint64_t Server::cluster_id() const { return parts_->context.cluster_id; }
uint64_t Server::member_id() const { return parts_->context.member_id; }
uint64_t Server::raft_term() const { return parts_->context.node->term(); }
bool Server::LacksLeader() const { return parts_->context.LacksLeader(); }

// ---- from apply

void Server::PostToLoop(base::Task task) {
  if (!parts_->started.load()) return;  // Start reads the tables
  parts_->context.loop->Dispatch([this, task = std::move(task)]() mutable {
    if (!parts_->stopped) task();
  });
}

void Server::OnResults(std::span<ApplyResult> results) { parts_->proposals.OnResults(results); }

void Server::OnApplied(const ApplyFigures& figures) { parts_->metrics.Applied(figures); }

void Server::OnLeaseGranted(const Lease& lease) {
  parts_->metrics.leases_granted.fetch_add(1, std::memory_order_relaxed);
  PostToLoop([this, lease] { parts_->lessor.OnGranted(lease); });
}

void Server::OnLeaseRevoked(int64_t id) {
  parts_->metrics.leases_revoked.fetch_add(1, std::memory_order_relaxed);
  PostToLoop([this, id] { parts_->lessor.OnRevoked(id); });
}

void Server::OnLeaseCheckpointed(const Lease& lease) {
  PostToLoop([this, lease] { parts_->lessor.OnCheckpointed(lease); });
}

void Server::OnMembersChanged() {
  PostToLoop([this] { ConnectPeers(); });
}

void Server::OnAlarmsChanged() {
  const ServerContext& context = parts_->context;
  if (context.machine == nullptr) return;
  parts_->context.no_space.store(context.machine->HasAlarm(pb::NOSPACE));
  parts_->context.corrupt.store(context.machine->HasAlarm(pb::CORRUPT));
}

void Server::OnAuthChanged() {
  PostToLoop([this] {
    if (parts_->on_auth_changed) parts_->on_auth_changed();
  });
}

void Server::OnTokenAssigned(const std::string& user, const std::string& token) {
  parts_->tokens->simple().Assign(user, token, parts_->context.loop->Now());
}

void Server::OnTokensRevoked(const std::string& user) { parts_->tokens->simple().Revoke(user); }

void Server::OnReset() {
  // Passwords may have changed in what the snapshot covers.
  parts_->tokens->simple().Revoke("");
  OnAuthChanged();
  PostToLoop([this] {
    parts_->proposals.OnReset();
    ReadState();
  });
}

// ---- on the loop

void Server::ReadState() {
  parts_->lessor.Assign(parts_->context.machine->leases().List());
  OnAlarmsChanged();
  ConnectPeers();
}

void Server::ConnectPeers() {
  ServerContext& context = parts_->context;
  std::map<uint64_t, std::string> wanted;
  bool present = false;
  for (const Member& member : context.machine->members().List()) {
    if (member.id == context.member_id) {
      present = true;
      context.is_learner.store(member.is_learner);
      continue;
    }
    if (std::string address = PeerAddress(member.peer_urls); !address.empty())
      wanted[member.id] = std::move(address);
  }
  // Without its own addition, or after its disk was lost, what it knows is old.
  if (!present || (parts_->identity.rejoined && !parts_->published)) {
    for (const InitialMember& contact : parts_->identity.contacts) {
      if (context.machine->members().WasRemoved(contact.id)) continue;
      const std::string address = PeerAddress(contact.peer_urls);
      if (!address.empty()) wanted.insert_or_assign(contact.id, address);
    }
  }
  for (const auto& [id, address] : parts_->peers) {
    const auto it = wanted.find(id);
    if (it == wanted.end() || it->second != address) context.transport->RemovePeer(id);
  }
  for (const auto& [id, address] : wanted) {
    const auto it = parts_->peers.find(id);
    if (it == parts_->peers.end() || it->second != address) {
      context.transport->AddPeer(id, address);
      base::Log().info("peer member={:x} address={}", id, address);
    }
  }
  parts_->peers = std::move(wanted);
  if (!present && context.machine->members().WasRemoved(context.member_id)) {
    Removed();
  }
}

void Server::Removed() {
  if (std::exchange(parts_->removed, true)) return;
  base::Log().error("this member ({:x}) has been removed from the cluster; it stops",
                    parts_->context.member_id);
  if (on_removed) on_removed();
}

void Server::OnStateChange(const raft::SoftState& state, raft::Term term) {
  if (!parts_->started.load() || parts_->stopped) return;
  const raft::SoftState before = parts_->state;
  parts_->state = state;
  if (state.leader != before.leader) {
    if (state.leader == raft::kNoNode) {
      base::Log().warn("no leader term={}", term);
    } else {
      base::Log().info("leader is {:x}{} term={}", state.leader,
                       state.leader == parts_->context.member_id ? " (this member)" : "", term);
      parts_->metrics.leader_changes.fetch_add(1, std::memory_order_relaxed);
    }
  }
  if (state.role == raft::Role::kLeader) {
    parts_->lessor.Lead(term);
  } else {
    parts_->lessor.Follow();
  }
  if (state.leader == before.leader) return;
  parts_->proposals.OnLeaderChange(state.leader != raft::kNoNode);
  parts_->calls->OnLeaderChange();
  parts_->gates[0]->Tick();
  Publish();
}

void Server::Tick() {
  ServerContext& context = parts_->context;
  parts_->timer = context.loop->After(kTick, [this] { Tick(); });
  parts_->proposals.Tick();
  parts_->calls->Tick();
  parts_->gates[0]->Tick();
  for (size_t i = 1; i < parts_->gates.size(); ++i) {
    context.io_loops[i]->Post([gate = parts_->gates[i].get()] { gate->Tick(); });
  }
  parts_->lessor.Tick();
  const base::TimePoint now = context.loop->Now();
  if (context.HasLeader() || parts_->leader_seen == base::TimePoint()) {
    if (context.HasLeader()) context.starting.store(false, std::memory_order_relaxed);
    parts_->leader_seen = now;
    parts_->leader_missing = false;
  } else if (!parts_->leader_missing && now - parts_->leader_seen > 3 * context.config.election()) {
    parts_->leader_missing = true;
    context.starting.store(false, std::memory_order_relaxed);
    parts_->leader_streams.EndAll();
    if (parts_->on_leader_missing) parts_->on_leader_missing();
  }
  parts_->space.Tick();
  if (parts_->ticks++ % kTicksPerSecond != 0) return;
  parts_->tokens->simple().Sweep(now);
  parts_->compactor.Tick();
  parts_->corruption->Tick();
  parts_->levels->Tick();
  parts_->metrics.Tick();
  parts_->metrics.lease_expired.store(parts_->lessor.expired_total(), std::memory_order_relaxed);
  parts_->metrics.leases_renewed.store(parts_->lessor.renewed_total(), std::memory_order_relaxed);
  Publish();
}

// Tells the cluster this member's name and client URLs when it does not know
// them, and, as leader, the cluster's version.
void Server::Publish() {
  ServerContext& context = parts_->context;
  if (!context.HasLeader()) return;
  if (context.IsLeader() && context.machine->cluster_version().empty() &&
      !parts_->proposing_version) {
    keel::kv::ClusterVersion version;
    version.set_version(kEtcdVersion);
    parts_->proposing_version = true;
    parts_->proposals.Propose(CommandField::kClusterVersion, version.SerializeAsString(),
                              [this](absl::Status, ApplyResult*) {
                                PostToLoop([this] { parts_->proposing_version = false; });
                              });
  }
  if (parts_->published || parts_->publishing) return;
  const std::optional<Member> self = context.machine->members().Find(context.member_id);
  if (!self.has_value()) return;  // not known here yet: the log will say
  const std::vector<std::string> urls = UrlStrings(context.config.advertise_client_urls);
  if (self->name == context.config.name && self->client_urls == urls) {
    parts_->published = true;
    if (parts_->identity.rejoined) ConnectPeers();
    base::Log().info("published local member to cluster through raft local-member-id={:x}",
                     context.member_id);
    base::Log().info(
        "ready to serve client requests name={} member={:x} cluster={:x} client_urls={}",
        context.config.name, context.member_id, context.cluster_id, absl::StrJoin(urls, ","));
    if (parts_->on_ready) std::exchange(parts_->on_ready, nullptr)();
    return;
  }
  keel::kv::MemberAttributes attributes;
  attributes.set_member_id(context.member_id);
  attributes.set_name(context.config.name);
  for (const std::string& url : urls) attributes.add_client_urls(url);
  parts_->publishing = true;
  parts_->proposals.Propose(CommandField::kMemberAttributes, attributes.SerializeAsString(),
                            [this](absl::Status error, ApplyResult*) {
                              PostToLoop([this] {
                                parts_->publishing = false;
                                Publish();
                              });
                            });
}

}  // namespace keel::kvstore
