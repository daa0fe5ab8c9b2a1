// The server of one member: etcd's services in front of a Raft node and the
// store. It makes neither: the program composes them.
//
//   Server server({.config = config, .identity = identity, .loop = &loop, ...});
//   auto machine = KvStateMachine::Create(options, &server);     // the server is its ApplySink
//   server.FillNodeOptions(&node_options);                       // and hears of the node
//   auto node = raft::Node::Open(node_options, transport.get(), machine.get());
//   server.Start(node->get(), transport.get(), machine.get());
//   server.RegisterOn(&rpc_server);                              // then Listen
//   ...
//   server.Stop();                                               // before the node stops
//
// Threads: `loop` owns proposals in waiting, leases and timers; with the default
// of one I/O thread it serves the connections, too, and owns the Raft core, so
// that a request passes from socket to log without a hop.
// Lifetime: everything handed over outlives the server; the server outlives
// the node, the state machine and the rpc::Server's last call.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "kvstore/apply/state_machine.h"
#include "kvstore/auth/tokens.h"
#include "kvstore/server/auth_gate.h"
#include "kvstore/server/identity.h"
#include "raft/driver/node.h"
#include "rpc/server.h"

namespace keel::kvstore {

struct ServerOptions {
  ServerConfig config;
  Identity identity;
  base::Loop* loop = nullptr;
  std::vector<base::Loop*> io_loops;      // at least one; the first is `loop`
  std::vector<base::Loop*> worker_loops;  // at least one
  base::FileSystem* fs = nullptr;         // null: PosixFileSystem()
  std::function<uint64_t()> unix_ms;      // wall clock; null: the system's
  std::unique_ptr<Tokens> tokens;         // null: simple ones, of config.auth_token_ttl
};

class Server final : public ApplySink {
 public:
  explicit Server(ServerOptions options);
  ~Server() override;

  // Sets the callbacks by which the server hears of leader changes, peers'
  // payloads and the log's syncs.
  void FillNodeOptions(raft::NodeOptions* options);

  // Leases and members are read, peers connected, timers started, and this
  // member's name and client URLs told to the cluster. Not on one of the loops,
  // unless all are run by one thread.
  // REQUIRES: node and state machine are open, the loops run.
  void Start(raft::Node* node, raft::Transport* transport, KvStateMachine* machine);

  // Compares this member's data with the others' (--feature-gates InitialCorruptCheck): DataLoss
  // when they differ. Blocks; not on one of the loops. REQUIRES: Start was called.
  absl::Status CheckAgainstPeers();

  // Registers the services and the plain HTTP handler. REQUIRES: Start was called.
  void RegisterOn(rpc::Server* server);
  // The plain HTTP handler alone, for --listen-metrics-urls.
  rpc::Server::HttpHandler HttpHandler();

  // Adds lines to /metrics; for parts that the server does not know (watch).
  void AddMetrics(std::function<void(std::string* out)> append);

  // What this member tells somebody who wants to join (join.h); empty before
  // Start. Any thread.
  std::string Introduction() const;

  // For TcpTransportOptions::removed_at; 0 before Start. Any thread.
  raft::Index RemovedAt(uint64_t id) const;

  // Called on the loop when there has been no leader for three election timeouts.
  void SetOnLeaderMissing(std::function<void()> callback);

  // Called once, on the loop: when the cluster has this member's name and client URLs, so that it
  // has a leader and serves. REQUIRES: Start was called. At once when that was before.
  void SetOnReady(std::function<void()> callback);

  // Called on the loop when what users may do has changed.
  void SetOnAuthChanged(std::function<void()> callback);
  // Who a client is, and what it may; for services beside this one's.
  AuthGate& auth_gate();

  // Fails what waits and takes no more. Blocks until the loops have let go;
  // not on one of them. Idempotent.
  void Stop();

  // The header of a response at this revision, encoded as field 1; any thread.
  std::string EncodeHeader(int64_t revision) const;
  // The same in parts, for those who encode it themselves.
  uint64_t cluster_id() const;
  uint64_t member_id() const;
  uint64_t raft_term() const;
  bool LacksLeader() const;

  // ApplySink, on the apply loop.
  void OnResults(std::span<ApplyResult> results) override;
  void OnApplied(const ApplyFigures& figures) override;
  void OnLeaseGranted(const Lease& lease) override;
  void OnLeaseRevoked(int64_t id) override;
  void OnLeaseCheckpointed(const Lease& lease) override;
  void OnMembersChanged() override;
  void OnAlarmsChanged() override;
  void OnAuthChanged() override;
  void OnTokenAssigned(const std::string& user, const std::string& token) override;
  void OnTokensRevoked(const std::string& user) override;
  void OnReset() override;

  // Called on the loop, once, when this member was removed from the cluster: it has applied that,
  // or was told by one that has.
  std::function<void()> on_removed;

 private:
  struct Parts;

  void OnStateChange(const raft::SoftState& state, raft::Term term);
  void Tick();
  void ConnectPeers();
  void Removed();
  void Publish();
  void ReadState();
  void PostToLoop(base::Task task);

  std::unique_ptr<Parts> parts_;
};

}  // namespace keel::kvstore
