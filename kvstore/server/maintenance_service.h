// etcdserverpb.Maintenance.
//
// Thread-safety: as service.h. Lifetime: outlives the rpc::Server's last call.
#pragma once

#include "kvstore/server/context.h"
#include "kvstore/server/proposals.h"
#include "rpc/server.h"

namespace keel::kvstore {

// The version of etcd whose API this server speaks.
inline constexpr char kEtcdVersion[] = "3.6.0";

class MaintenanceService {
 public:
  MaintenanceService(ServerContext* context, Proposals* proposals);

  void RegisterOn(rpc::Server* server);

 private:
  void Status(rpc::ServerCallPtr call);
  void Alarm(rpc::ServerCallPtr call);
  void ProposeAlarm(rpc::ServerCallPtr call);
  void Hash(rpc::ServerCallPtr call);
  void HashKv(rpc::ServerCallPtr call);
  void MoveLeader(rpc::ServerCallPtr call);
  // Answers once `target` leads, or it has become too late; on the server's loop.
  void AwaitLeader(uint64_t target, base::TimePoint give_up, rpc::ServerCallPtr call);
  void Downgrade(rpc::ServerCallPtr call);

  ServerContext* const context_;
  Proposals* const proposals_;
};

}  // namespace keel::kvstore
