// The whole of kvd above Raft, but for sockets: store, server, leases, watch
// hub and the services, called in the same process.
//
//   KvStack& stack = static_cast<KvStack&>(member.stack());
//   member.loop().Post([&] { stack.channel().Call("/etcdserverpb.KV/Put", ...); });
//
// Threads: as kvd, each part on the loop that kvd gives it.
#pragma once

#include <memory>

#include "kvstore/apply/state_machine.h"
#include "kvstore/server/server.h"
#include "rpc/local_channel.h"
#include "rpc/server.h"
#include "tests/sim/member.h"
#include "tests/sim/rocksdb_env.h"
#include "watch/hub.h"
#include "watch/service.h"

namespace keel::sim {

struct KvStackOptions {
  kvstore::ServerConfig config;  // name and URLs aside
  std::vector<raft::NodeId> first_members;
  std::vector<raft::NodeId> contacts;  // whom one that joins was told of
  uint64_t seed = 0;
  std::function<void()> on_removed;  // the member knows that it was
};

// What every member's URLs are made of; nobody connects to them.
std::string PeerUrl(raft::NodeId id);

class KvStack final : public MemberStack {
 public:
  KvStack(SimMember* member, const KvStackOptions& options);
  ~KvStack() override;

  raft::StateMachine* machine() override { return machine_.get(); }
  void Prepare(raft::NodeOptions* options) override;
  void Start(raft::Node* node, raft::Transport* transport) override;
  raft::Index RemovedAt(raft::NodeId id) const override { return server_->RemovedAt(id); }
  std::vector<raft::NodeId> Peers() const override;
  void TearDown() override;

  // REQUIRES: started. On the member's main loop.
  rpc::LocalChannel& channel() { return *channel_; }
  kvstore::KvStateMachine& store() { return *machine_; }

 private:
  class Recorder;
  class HeaderOf;

  void PumpLater();

  SimMember& member_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<RocksDbHost> host_;
  std::unique_ptr<kvstore::Server> server_;
  std::unique_ptr<kvstore::KvStateMachine> machine_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<watch::Hub> hub_;
  std::unique_ptr<HeaderOf> header_;
  std::unique_ptr<watch::Service> watch_;
  std::unique_ptr<rpc::Server> rpc_;
  std::unique_ptr<rpc::LocalChannel> channel_;
};

}  // namespace keel::sim
