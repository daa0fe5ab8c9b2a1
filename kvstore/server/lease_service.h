// etcdserverpb.Lease: grant and revoke through the log, keep-alive and
// time-to-live at the leader's clock, list from this member.
//
// Thread-safety: as service.h. Lifetime: outlives the rpc::Server's last call.
#pragma once

#include <string>

#include "kvstore/server/context.h"
#include "kvstore/server/leader_calls.h"
#include "kvstore/server/lessor.h"
#include "kvstore/server/proposals.h"
#include "kvstore/server/read_gate.h"
#include "rpc/server.h"

namespace keel::kvstore {

class LeaseService {
 public:
  // `gate` is that of context->loop. Sets the leader's handlers in `calls`.
  LeaseService(ServerContext* context, Proposals* proposals, ReadGate* gate, Lessor* lessor,
               LeaderCalls* calls);

  void RegisterOn(rpc::Server* server);

 private:
  class KeepAliveStream;

  void Grant(rpc::ServerCallPtr call);
  void Revoke(rpc::ServerCallPtr call);
  void TimeToLive(rpc::ServerCallPtr call);
  void ReplyTimeToLive(rpc::ServerCallPtr call, std::string answer);
  void Leases(rpc::ServerCallPtr call);

  // On the leader.
  void ServeKeepAlive(std::string_view body, LeaderCalls::Reply reply);
  void ServeTimeToLive(std::string_view body, LeaderCalls::Reply reply);
  // Runs `then` once this member has applied all that was committed when
  // called: a lease that another member has seen granted is then known here.
  void WhenCaughtUp(absl::AnyInvocable<void(absl::Status)> then);

  // The least TTL, seconds: clients need time to find a new leader.
  int64_t MinTtl() const;

  ServerContext* const context_;
  Proposals* const proposals_;
  ReadGate* const gate_;
  Lessor* const lessor_;
  LeaderCalls* const calls_;
};

}  // namespace keel::kvstore
