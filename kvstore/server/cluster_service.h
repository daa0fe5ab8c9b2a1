// etcdserverpb.Cluster: who the members are, and changes of that.
//
// A change is checked here for etcd's error texts and again, bindingly, when
// it is applied. With --strict-reconfig-check one that would leave the cluster
// without a majority of running members is refused.
//
// Thread-safety: as service.h. Lifetime: outlives the rpc::Server's last call.
#pragma once

#include "kvstore/apply/members.h"
#include "kvstore/server/context.h"
#include "kvstore/server/leader_calls.h"
#include "kvstore/server/proposals.h"
#include "kvstore/server/read_gate.h"
#include "rpc/server.h"

namespace keel::kvstore {

class ClusterService {
 public:
  // `gate` is that of context->loop.
  ClusterService(ServerContext* context, Proposals* proposals, ReadGate* gate, LeaderCalls* calls);

  void RegisterOn(rpc::Server* server);

 private:
  void List(rpc::ServerCallPtr call);
  void Add(rpc::ServerCallPtr call);
  void Remove(rpc::ServerCallPtr call);
  void Update(rpc::ServerCallPtr call);
  void Promote(rpc::ServerCallPtr call);
  // On the leader: only it hears from everybody, and knows how far a learner has come.
  absl::Status CheckQuorumAfterAdd() const;
  absl::Status CheckQuorumAfterRemove(uint64_t id) const;
  void ServePromote(std::string_view body, LeaderCalls::Reply reply);

  // Proposes the change; `answer` makes the response once it has been applied.
  void Change(rpc::ServerCallPtr call, raft::ConfChangeSingle change, Member member,
              std::string (*answer)(const ServerContext&, uint64_t id));
  // The same once the leader has answered `kind` with OK; any thread.
  void AskThenChange(keel::kv::PeerRequest::Kind kind, rpc::ServerCallPtr call,
                     raft::ConfChangeSingle change, Member member,
                     std::string (*answer)(const ServerContext&, uint64_t id));
  bool IsActive(uint64_t id) const;
  size_t ActiveVoters(const std::vector<Member>& members) const;

  ServerContext* const context_;
  Proposals* const proposals_;
  ReadGate* const gate_;
  LeaderCalls* const calls_;
};

}  // namespace keel::kvstore
