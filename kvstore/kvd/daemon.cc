#include "kvstore/kvd/daemon.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/kvd/supervisor.h"
#include "kvstore/kvd/tls.h"
#include "kvstore/kvd/watch_guard.h"
#include "kvstore/recovery/force_new_cluster.h"
#include "kvstore/server/concurrency_service.h"
#include "kvstore/server/join.h"
#include "kvstore/server/json_gateway.h"
#include "kvstore/server/maintenance_service.h"
#include "kvstore/server/metrics.h"
#include "kvstore/server/server.h"
#include "raft/driver/node.h"
#include "raft/transport/tcp_transport.h"
#include "rpc/server.h"
#include "watch/hub.h"
#include "watch/service.h"

namespace keel::kvstore {

using base::Log;
using base::StrCat;
using base::ToStd;

namespace {

// Requests in progress may end; watch streams, which never do, are cut off then.
constexpr base::Duration kDrainLimit = std::chrono::seconds(1);
// For somebody in the cluster to introduce it.
constexpr base::Duration kJoinLimit = std::chrono::seconds(10);
// A shutdown that takes longer has gone wrong.
constexpr base::Duration kShutdownLimit = std::chrono::seconds(30);

class WatchHeader final : public watch::HeaderSource {
 public:
  explicit WatchHeader(const Server* server) : server_(server) {}
  watch::HeaderFields Header() const override {
    return {.cluster_id = server_->cluster_id(),
            .member_id = server_->member_id(),
            .raft_term = server_->raft_term()};
  }

 private:
  const Server* const server_;
};

uint64_t UnixMs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

// Runs `task` on the loop and waits for it.
void RunOn(base::Loop& loop, base::Task task) {
  std::promise<void> done;
  loop.Post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

// Members that are being started beside this one may need a moment.
absl::StatusOr<Identity> Join(const ServerConfig& config,
                              const std::shared_ptr<base::TlsContext>& tls) {
  const auto give_up = std::chrono::steady_clock::now() + kJoinLimit;
  while (true) {
    absl::StatusOr<Identity> identity =
        IdentityFromCluster(config, [&](const std::string& address) {
          return raft::AskIntroduction(address, std::chrono::seconds(2), tls);
        });
    if (identity.status().code() != absl::StatusCode::kUnavailable ||
        std::chrono::steady_clock::now() > give_up) {
      return identity;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
}

class Daemon {
 public:
  explicit Daemon(ServerConfig config) : config_(std::move(config)) {}
  ~Daemon() { TearDown(); }

  absl::Status Start();
  void HandOver();
  void Drain();

  absl::Status fatal() const {
    std::lock_guard lock(mu_);
    return fatal_;
  }

 private:
  absl::Status OpenNode();
  absl::Status Serve();
  void OnFatal(absl::Status status);
  void TearDown();

  ServerConfig config_;
  DataDir data_dir_;
  MemberTls tls_;

  mutable std::mutex mu_;
  absl::Status fatal_;

  // In the order in which they depend on each other; torn down by TearDown.
  base::AsioLoop io_{"kv-io"};
  base::AsioLoop apply_{"kv-apply"};
  std::vector<std::unique_ptr<base::AsioLoop>> more_io_;
  std::vector<std::unique_ptr<base::AsioLoop>> workers_;
  base::AsioLoop history_{"kv-history"};
  std::unique_ptr<Server> server_;
  std::unique_ptr<KvStateMachine> machine_;
  std::unique_ptr<raft::TcpTransport> transport_;
  std::unique_ptr<raft::Node> node_;
  std::unique_ptr<WatchHeader> watch_header_;
  std::unique_ptr<WatchGuard> watch_guard_;
  std::unique_ptr<watch::Hub> hub_;
  std::unique_ptr<watch::Service> watch_;
  std::unique_ptr<rpc::Server> rpc_;
  std::unique_ptr<ConcurrencyService> concurrency_;
  std::unique_ptr<JsonGateway> json_;
  std::unique_ptr<rpc::Server> metrics_rpc_;
};

void Daemon::OnFatal(absl::Status status) {
  {
    std::lock_guard lock(mu_);
    if (fatal_.ok()) fatal_ = std::move(status);
  }
  kill(getpid(), SIGTERM);  // wakes the thread that waits for signals
}

absl::Status Daemon::Start() {
  KEEL_ASSIGN_OR_RETURN(tls_, MakeMemberTls(config_));
  const auto first = [this](const ServerConfig& config) {
    return config.initial_cluster_existing ? Join(config, tls_.to_peers)
                                           : IdentityFromConfig(config);
  };
  KEEL_ASSIGN_OR_RETURN(data_dir_, OpenDataDir(base::PosixFileSystem(), config_, first));
  const Identity& identity = data_dir_.identity;
  if (!config_.name_given) config_.name = identity.name;
  Log().info("kvd {} name={} member={:x} cluster={:x} data_dir={} {}", KEEL_VERSION, config_.name,
             identity.member_id, identity.cluster_id, config_.data_dir,
             data_dir_.first_start ? "(first start)" : "(restart)");

  if (config_.force_new_cluster && !data_dir_.first_start) {
    KEEL_RETURN_IF_ERROR(ForceNewCluster(base::PosixFileSystem(), config_, &data_dir_.identity));
  }
  if (identity.rejoined) {
    Log().warn(
        "the cluster has seen this member run before: what it held is lost, and while it has not "
        "caught up the "
        "loss of another member can lose writes; to be safe, remove it and add it anew");
  }

  ServerOptions options;
  KEEL_ASSIGN_OR_RETURN(options.tokens,
                        Tokens::Create(config_.auth_token, config_.auth_token_ttl, UnixMs));
  options.config = config_;
  options.identity = identity;
  options.loop = &io_;
  std::vector<base::AsioLoop*> io_loops = {&io_};
  for (uint32_t i = 1; i < config_.io_threads; ++i) {
    io_loops.push_back(
        more_io_.emplace_back(std::make_unique<base::AsioLoop>(StrCat("kv-io-", i))).get());
  }
  for (base::AsioLoop* loop : io_loops) {
    options.io_loops.push_back(loop);
    loop->Start();
  }
  for (int i = 0; i < 2; ++i) {
    auto worker = std::make_unique<base::AsioLoop>(StrCat("kv-worker-", i));
    options.worker_loops.push_back(worker.get());
    worker->Start();
    workers_.push_back(std::move(worker));
  }
  apply_.Start();
  history_.Start();

  server_ = std::make_unique<Server>(std::move(options));
  server_->on_removed = [this] {
    OnFatal(absl::FailedPreconditionError(
        "this member was removed from the cluster; its data directory can be deleted"));
  };
  KEEL_RETURN_IF_ERROR(OpenNode());
  server_->Start(node_.get(), transport_.get(), machine_.get());
  if (config_.initial_corrupt_check) KEEL_RETURN_IF_ERROR(server_->CheckAgainstPeers());

  rpc::ServerOptions rpc_options;
  // etcd: gRPC's limit leaves room around the request; the exact limit is checked later.
  rpc_options.max_request_bytes = config_.max_request_bytes + 512 * 1024;
  rpc_options.max_concurrent_streams = config_.max_concurrent_streams;
  rpc_ = std::make_unique<rpc::Server>(io_loops, rpc_options);
  return Serve();
}

absl::Status Daemon::OpenNode() {
  const Identity& identity = data_dir_.identity;
  KvStateMachine::Options store;
  store.store.dir = config_.store_dir();
  store.member_id = identity.member_id;
  store.max_learners = config_.max_learners;
  store.levels = config_.levels;

  raft::NodeOptions options;
  options.id = identity.member_id;
  options.cluster_id = identity.cluster_id;
  options.loop = &io_;
  options.apply_loop = &apply_;
  options.log_dir = config_.log_dir();
  options.snapshot_dir = config_.snapshot_dir();
  options.tick = config_.heartbeat();
  options.election_ticks = config_.election_ticks();
  options.snapshot_count = config_.snapshot_count;
  options.catchup_entries = config_.snapshot_catchup_entries;
  options.on_fatal = [this](absl::Status status) { OnFatal(std::move(status)); };
  server_->FillNodeOptions(&options);
  // Also for a member that joins later: the log begins with the cluster as it
  // was first configured, and says what has become of it.
  for (const InitialMember& member : identity.initial_members) {
    options.initial_conf.voters.push_back(member.id);
    store.initial_members.push_back(
        {.id = member.id, .name = member.name, .peer_urls = member.peer_urls});
  }
  machine_ = KvStateMachine::Create(std::move(store), server_.get());

  raft::TcpTransportOptions transport;
  transport.self = identity.member_id;
  transport.cluster_id = identity.cluster_id;
  for (const Url& url : config_.listen_peer_urls) transport.listen.push_back(url.PeerAddress());
  transport.advertise = config_.initial_advertise_peer_urls.empty()
                            ? ""
                            : config_.initial_advertise_peer_urls[0].PeerAddress();
  transport.tls_server = tls_.peers;
  transport.tls_client = tls_.to_peers;
  transport.check_caller_address = !config_.peer_skip_client_san_verification;
  transport.io = &io_;
  transport.snapshot_dir = config_.snapshot_dir();
  transport.introduction = [this] { return server_->Introduction(); };
  transport.removed_at = [this](raft::NodeId id) { return server_->RemovedAt(id); };
  KEEL_ASSIGN_OR_RETURN(transport_, raft::TcpTransport::Create(std::move(transport)));

  KEEL_ASSIGN_OR_RETURN(node_,
                        raft::Node::Open(std::move(options), transport_.get(), machine_.get()));
  return absl::OkStatus();
}

absl::Status Daemon::Serve() {
  watch::HubOptions hub_options;
  hub_options.fragment_bytes_min = config_.max_request_bytes + 512 * 1024;
  hub_options.progress_notify_interval = config_.watch_progress_interval;
  hub_ = std::make_unique<watch::Hub>(*machine_, history_, hub_options);
  RunOn(apply_, [this] { hub_->Start(); });
  watch_header_ = std::make_unique<WatchHeader>(server_.get());
  watch::ServiceOptions watch_options;
  watch_options.has_leader = [this] { return !server_->LacksLeader(); };
  watch_guard_ = std::make_unique<WatchGuard>(&server_->auth_gate());
  watch_options.guard = watch_guard_.get();
  watch_ = std::make_unique<watch::Service>(*hub_, *watch_header_, watch_options);
  server_->SetOnAuthChanged([this] { watch_->RecheckRights(); });
  server_->SetOnLeaderMissing([this] { watch_->EndStreamsWithoutLeader(); });
  server_->AddMetrics([this](std::string* out) {
    *out += config_.more_metrics;
    AppendTlsMetrics(tls_, out);
    const watch::HubStats stats = hub_->Stats();
    AppendGauge("etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams.",
                static_cast<double>(stats.streams), out);
    AppendGauge("etcd_debugging_mvcc_watcher_total", "Total number of watchers.",
                static_cast<double>(stats.watchers), out);
    AppendGauge("etcd_debugging_mvcc_slow_watcher_total", "Total number of unsynced slow watchers.",
                static_cast<double>(stats.watchers_behind), out);
    AppendCounter("etcd_debugging_mvcc_events_total", "Total number of events sent by this member.",
                  static_cast<double>(stats.events_sent), out);
    const raft::TransportCounters& peers = transport_->counters();
    AppendCounter("keel_peer_sent_bytes_total", "Bytes sent to other members.",
                  static_cast<double>(peers.sent_bytes.load()), out);
    AppendCounter("keel_peer_received_bytes_total", "Bytes received from other members.",
                  static_cast<double>(peers.received_bytes.load()), out);
    AppendCounter("keel_peer_refused_connections_total",
                  "Connections to the peer port that were no peer's.",
                  static_cast<double>(peers.refused_connections.load()), out);
    AppendCounter("keel_peer_dropped_messages_total",
                  "Messages that a broken or full connection could not take.",
                  static_cast<double>(peers.dropped_messages.load()), out);
  });

  server_->RegisterOn(rpc_.get());
  watch_->Register(*rpc_);
  concurrency_ = std::make_unique<ConcurrencyService>(rpc_.get(), &io_);
  if (config_.grpc_gateway) {
    json_ = std::make_unique<JsonGateway>(*rpc_, &io_);
    rpc_->SetHttpHandler(
        [this, other = server_->HttpHandler()](rpc::HttpRequest request, rpc::HttpRespond respond) {
          if (!JsonGateway::Serves(request.path))
            return other(std::move(request), std::move(respond));
          json_->Handle(std::move(request), std::move(respond));
        },
        &JsonGateway::StreamsBody);
  }
  for (const Url& url : config_.listen_client_urls) {
    KEEL_ASSIGN_OR_RETURN(const uint16_t port,
                          rpc_->Listen(url.host, url.port, url.tls() ? tls_.clients : nullptr));
    Log().info("serving clients on {} port={}", url.ToString(), port);
    if (url.tls()) {
      Log().info("serving client traffic securely address={}:{}", url.host, port);
    } else {
      Log().info("serving client traffic insecurely; this is strongly discouraged! address={}:{}",
                 url.host, port);
    }
  }
  if (!config_.listen_metrics_urls.empty()) {
    metrics_rpc_ = std::make_unique<rpc::Server>(std::vector<base::AsioLoop*>{&io_});
    metrics_rpc_->SetHttpHandler(server_->HttpHandler());
    for (const Url& url : config_.listen_metrics_urls) {
      KEEL_RETURN_IF_ERROR(
          metrics_rpc_->Listen(url.host, url.port, url.tls() ? tls_.clients : nullptr).status());
      Log().info("serving metrics on {}", url.ToString());
    }
  }
  server_->SetOnReady([] { NotifySupervisor("READY=1\nSTATUS=serving clients"); });
  return absl::OkStatus();
}

// Gives leadership away while this member still serves: its clients' requests
// then travel to the new leader, and nobody waits for an election.
void Daemon::HandOver() {
  if (node_->role() != raft::Role::kLeader || machine_->members().List().size() < 2) return;
  node_->TransferLeadership(raft::kNoNode, [](absl::Status refused) {
    if (!refused.ok()) Log().warn("leadership stays: {}", ToStd(refused.message()));
  });
  const auto give_up = std::chrono::steady_clock::now() + 2 * config_.election();
  while (std::chrono::steady_clock::now() < give_up) {
    const raft::NodeId leader = node_->leader();
    if (leader != raft::kNoNode && leader != data_dir_.identity.member_id) {
      Log().info("leadership handed over to {:x}", leader);
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  Log().warn("leadership was not taken over in time");
}

void Daemon::Drain() {
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> future = done->get_future();
  rpc_->Drain(kDrainLimit, [done] { done->set_value(); });
  future.wait_for(2 * kDrainLimit);
}

void Daemon::TearDown() {
  if (server_ != nullptr) server_->Stop();
  if (metrics_rpc_ != nullptr) metrics_rpc_->Stop();
  if (rpc_ != nullptr) rpc_->Stop();
  if (concurrency_ != nullptr) {
    RunOn(io_, [this] {
      concurrency_.reset();
      json_.reset();
    });
  }
  if (hub_ != nullptr) RunOn(apply_, [this] { hub_->Stop(); });
  if (node_ != nullptr) node_->Stop(base::Duration::zero());
  if (transport_ != nullptr) transport_->Stop();
  history_.Stop();
  for (auto& worker : workers_) worker->Stop();
  apply_.Stop();
  for (auto& loop : more_io_) loop->Stop();
  io_.Stop();
  // Nothing runs any more.
  rpc_.reset();
  metrics_rpc_.reset();
  watch_.reset();
  hub_.reset();
  node_.reset();
  transport_.reset();
  machine_.reset();
  server_.reset();
}

int WaitForSignal(const sigset_t& signals) {
  int signal = 0;
  while (sigwait(&signals, &signal) != 0) {
  }
  return signal;
}

}  // namespace

absl::Status RunDaemon(const ServerConfig& config, const sigset_t& signals) {
  Daemon daemon(config);
  NotifySupervisor("STATUS=starting");
  KEEL_RETURN_IF_ERROR(daemon.Start());
  const int signal = WaitForSignal(signals);

  std::thread([signals] {
    WaitForSignal(signals);
    Log().warn("second signal: stopping at once");
    _exit(1);
  }).detach();
  std::thread([] {
    std::this_thread::sleep_for(kShutdownLimit);
    Log().critical("shutdown does not end; stopping at once");
    _exit(1);
  }).detach();

  NotifySupervisor("STOPPING=1\nSTATUS=stopping");
  if (absl::Status fatal = daemon.fatal(); !fatal.ok()) return fatal;
  Log().info("signal {} received: handing over and stopping", signal);
  daemon.HandOver();
  daemon.Drain();
  return daemon.fatal();
}

}  // namespace keel::kvstore
